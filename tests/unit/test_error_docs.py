from scripts.build_error_docs import errors, main


def test_errors_page__is_current():
    assert main(["--check"]) == 0


def test_codes__name_one_error_each():
    codes = [code for code, _ in errors()]
    assert len(codes) > 40
    assert len(set(codes)) == len(codes)


def test_codes__of_the_relayer__say_what_to_do():
    assert not [code for code, kind in errors() if code.startswith("R-") and not vars(kind).get("hint")]
