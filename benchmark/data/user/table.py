"""A listing from a labels file: which column names the images, which their labels, which the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmark.data.labels import Cell
from benchmark.data.user.cells import ALWAYS, is_none, labels_of, unlabelled
from benchmark.data.user.findings import DataError
from benchmark.data.user.locate import Images, moved
from benchmark.data.user.one_hot import one_hot
from benchmark.data.user.reading import Reading
from benchmark.data.user.rows import Listing, classes_and_labels, rows_used
from benchmark.data.user.split_column import split_column, split_of
from benchmark.data.user.text import Text, read_rows
from benchmark.errors import did_you_mean
from benchmark.wording import some

IMAGE_COLUMNS = ("image", "img", "file_name", "filename", "path", "file")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label")
SAMPLE = 50  # rows that a column of another name is judged by


def from_table(path: Path, reading: Reading) -> Listing:
    """Rows of image,label (and split): paths relative to the file, or names that one file below it has.

    Several labels of an image stand in one cell (a|b, or a,b … where the cells speak for it), or a column a class
    holds 0 or 1.
    """
    text, below = read_rows(path), Images(path.parent)
    column = split_column(text.columns, reading, path.name)
    image, remarks = _image_column(path, text, reading, below)
    named = reading.label or _named(text.columns, LABEL_COLUMNS)
    hot = None if named else one_hot(text, (image, column), path.name)
    label, how = ("", hot.sentence(path.name)) if hot else _label_column(path, text, reading, (image, column))
    remarks += [how] if how else []
    if label != text.columns[-1] and (more := [i for i, cells in enumerate(text.beyond) if cells]):
        raise DataError(
            f"{path.name} must have as many cells in every row as columns. Got more in line {more[0] + 2}. Mend it."
        )
    every = [row[image] for row in text.rows]
    labelled = [i for i, row in enumerate(text.rows) if hot or not is_none(row[label]) or any(text.beyond[i])]
    remarks += unlabelled([n for i, n in enumerate(every) if i not in set(labelled)], "row")
    split, said = split_of(column, [text.rows[i][column] if column else None for i in labelled], reading, path.name)
    kept, split = rows_used(split)
    at = [labelled[i] for i in kept]
    found = _found(path, below, [every[i] for i in at])
    beyond = [text.beyond[i] for i in at]
    where = f"{path.name}, column {label}"
    raw: list[Cell]
    told: list[str] = []
    if hot:
        raw = hot.labels(at)
    else:
        raw, told = labels_of([text.rows[i][label] for i in at], beyond, text.delimiter, reading.separator, where)
    class_names, labels = classes_and_labels(raw, None, path.name)
    remarks = [*text.remarks, *remarks, *told, *said, *moved(path.parent, [every[i] for i in at], found)]
    return Listing(
        found,
        Path.read_bytes,
        [every[i] for i in at],
        labels,
        split,
        class_names,
        [path, *found],
        f"labels file {path.name}",
        remarks + _not_named(path, below, every),
    )


def _not_named(path: Path, below: Images, names: Sequence[str]) -> list[str]:
    named = {p.resolve() for name in names if (p := below.find(name))}
    unnamed = len({p.resolve() for p in below.files} - named)
    return [f"{unnamed} images beside {path.name} are not named in it, and left out."] if unnamed else []


def _image_column(path: Path, text: Text, reading: Reading, below: Images) -> tuple[str, list[str]]:
    """The column of images: as given, by its name, or by what the cells hold; and what is to be said."""
    known = reading.image or _named(text.columns, IMAGE_COLUMNS)
    image = known and column_named(text.columns, known, (), path)
    remarks = []
    if image is None:
        sample = text.rows[:: max(1, len(text.rows) // SAMPLE)]
        fits = {c: sum(below.find(row[c]) is not None for row in sample) for c in text.columns}
        image = max(fits, key=lambda c: fits[c], default=None)
        if image is None or 2 * fits[image] <= len(sample):
            image = column_named(text.columns, None, IMAGE_COLUMNS, path)
        remarks.append(f"{path.name}: the column {image} names the images.")
    return image, remarks


def _label_column(path: Path, text: Text, reading: Reading, used: Sequence[str | None]) -> tuple[str, str]:
    """The column of labels: as given, by its name, or the only one that is not `used`; and what is to be said."""
    if reading.label or _named(text.columns, LABEL_COLUMNS):
        return column_named(text.columns, reading.label, LABEL_COLUMNS, path), ""
    rest = [c for c in text.columns if c not in used]
    if len(rest) != 1:
        raise DataError(
            f"{path.name} must have a column label. Got {', '.join(text.columns) or 'no columns'}. "
            f"Name yours with {LABEL_COLUMNS[0]}=<column>."
        )
    return rest[0], f"{path.name}: the column {rest[0]} holds the labels."


def _named(columns: Sequence[str], known: Sequence[str]) -> str | None:
    return next((c for name in known for c in columns if c.strip().lower() == name.lower()), None)


def column_named(columns: Sequence[str], given: str | None, known: Sequence[str], path: Path) -> str:
    """The column that is given, or the first of the known names. DataError where there is none."""
    names = [given] if given else known
    found = _named(columns, names)
    if found is None:
        raise DataError(
            f"{path.name} must have a column {names[0]}. Got {', '.join(columns) or 'no columns'}. "
            f"{did_you_mean(names[0], columns) if given else f'Name yours with {known[0]}=<column>.'}"
        )
    return found


def _found(path: Path, below: Images, names: list[str]) -> list[Path]:
    """The image of each name; DataError where table and images do not match: absent files, two rows of one."""
    looked = [(name, below.find(name)) for name in names]
    files = [file for _, file in looked if file is not None]
    absent = [name for name, file in looked if file is None]
    if absent:
        many = next((f for name in absent if len(f := below.fitting(name)) > 1), [])
        fits = f" ({many[0].relative_to(below.root)} or {many[1].relative_to(below.root)}?)" if many else ""
        raise DataError(
            f"{path.name} must name images that are there, relative to its folder. Got {len(absent)} of {len(names)} "
            f"that are not: {some([n or '(empty)' for n in absent])}{fits}. Correct the paths."
        )
    if twice := [str(f.name) for f, n in Counter(files).items() if n > 1]:
        raise DataError(
            f"{path.name} must name an image once. Got several rows for {some(twice)}. "
            f"Write several labels of one image as a{ALWAYS}b."
        )
    return files
