"""Files are put into place by ``model.files`` only: fsynced, then renamed, then the folder too."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "model/files.py": "it is the one place",
    "app/store/index/snapshots.py": "the file is written by model.files, then named by its digest",
    "app/store/sqlite/database_copy.py": "a damaged database is moved out of the way",
}
OS_CALLS = {"rename", "renames", "replace", "link", "symlink"}


def renames(source: str) -> bool:
    """Return whether a module calls ``os.rename``, ``Path.replace`` or one of their kin."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr=name)):
                if name in OS_CALLS:
                    return True
            case ast.Call(func=ast.Attribute(value=ast.Name(id="shutil"), attr="move")):
                return True
            case ast.Call(func=ast.Attribute(attr="rename")):
                return True
            case ast.Call(func=ast.Attribute(attr="replace"), args=[_], keywords=[]):
                return True  # that of text takes two arguments
            case ast.ImportFrom(module="os", names=names):
                if OS_CALLS & {alias.name for alias in names}:
                    return True
    return False


def test_no_other_module_renames_files() -> None:
    modules = [
        path for name in ("app", "model", "training") for path in (ROOT / name).rglob("*.py")
    ]
    assert len(modules) > 100
    found = {str(path.relative_to(ROOT)) for path in modules if renames(path.read_text())}
    assert found == ALLOWED.keys()


def test_the_rule_sees_each_way_of_renaming_and_nothing_else() -> None:
    for line in (
        "path.rename(to)",
        "path.with_suffix('.x').replace(to)",
        "os.replace(a, b)",
        "shutil.move(a, b)",
        "from os import rename",
    ):
        assert renames(line), line
    for line in ("text.replace('a', 'b')", "moment.replace(microsecond=0)", "replace(x, y=1)"):
        assert not renames(line), line
