from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_example_is_named_in_its_contents_page() -> None:
    contents = (ROOT / "examples" / "README.md").read_text()
    for file in (ROOT / "examples").iterdir():
        if file.is_file() and file.name != "README.md":
            assert f"`{file.name}`" in contents, f"examples/README.md does not mention {file.name}"
