"""What estimators share: linear algebra, labels, checks of arguments, the score itself."""
