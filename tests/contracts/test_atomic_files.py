"""Files are put into place by ``model.files`` only: fsynced, then renamed, then the folder too."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "model/files.py": "it is the one place",
    "app/store/index/snapshots.py": "the file is written by model.files, then named by its digest",
    "app/store/sqlite/database_copy.py": "a damaged database is moved out of the way",
}
IN_PLACE = {
    "model/files.py": "it is the one place",
    "model/checkpoint.py": "inside an atomic_folder",
    "model/video_file.py": "inside an atomic_path or atomic_folder of its callers",
    "training/data/extract.py": "inside an atomic_path",
    "training/evaluation/meanings.py": "inside an atomic_path",
    "app/auth/keys.py": "a lock file, which is empty",
    "app/engine/decode_worker.py": "/dev/null, in place of its standard error",
    "app/demo/stamps.py": "a bank in a temporary folder",
    "app/indexing/progress.py": "a report that is written line by line while a job runs",
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


def writes_in_place(source: str) -> bool:
    """Return whether a module writes files from their beginning under their own names."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="write_text" | "write_bytes")):
                return True
            case ast.Call(func=ast.Attribute(attr="open") | ast.Name(id="open")):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                modes = [v.value for v in values if isinstance(v, ast.Constant)]
                if any(mode in {"w", "wb", "x", "xb", "w+", "wb+"} for mode in modes):
                    return True
    return False


def modules() -> list[tuple[str, str]]:
    """Return path and source of every module that is installed."""
    paths = [path for name in ("app", "model", "training") for path in (ROOT / name).rglob("*.py")]
    assert len(paths) > 100
    return [(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


def test_no_other_module_renames_files() -> None:
    found = {name for name, source in modules() if renames(source)}
    assert found == ALLOWED.keys()


def test_files_are_written_in_place_only_where_that_is_safe() -> None:
    found = {name for name, source in modules() if writes_in_place(source)}
    assert found == IN_PLACE.keys()


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
    for line in ("path.write_text(x)", "open(path, 'wb')", "path.open('w')", "path.open(mode='x')"):
        assert writes_in_place(line), line
    for line in ("open(path)", "path.open('rb')", "path.open('a')", "file.write(x)"):
        assert not writes_in_place(line), line
