"""The deployed packages of both architectures are small, complete and usable.

The tests build them with the Makefiles that `sam build` uses.
"""

import importlib.util
import marshal
import os
import platform
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.infrastructure import elf
from tests.infrastructure.stack import ROOT, Stack

ARCHITECTURES = ("x86_64", "arm64")
MAKEFILES = {"PyArrowLayer": "layers/pyarrow/Makefile", "MetricsWorkerFunction": "src/Makefile"}
IN_LAMBDA = {"PyArrowLayer": "/opt/", "MetricsWorkerFunction": "/var/task/"}
PARTS = [*product(ARCHITECTURES, MAKEFILES)]
MIB = 2**20
MB = 10**6

# Amazon Linux 2023: glibc 2.34, and the C++ runtime of GCC 11.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11, 0)}
SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|ld-linux-[a-z0-9-]+)\.so\.\d+")

type Trees = dict[tuple[str, str], Path]


def build(architecture: str, part: str, folder: Path) -> Path:
    """Build one package as `sam build` does, and return the folder with its files.

    Args:
        architecture: `x86_64` or `arm64`.
        part: the logical id of the function or the layer in template.yaml.
        folder: the folder in which the package is built.
    """
    make = ["make", "--makefile", str(ROOT / MAKEFILES[part]), f"build-{part}"]
    environment = os.environ | {"ARTIFACTS_DIR": str(folder), "PYTHON": sys.executable}
    run = subprocess.run(
        make,
        cwd=ROOT / "layers/platform" / architecture,
        env={k: v for k, v in environment.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Build all packages, and return a dict from (architecture, logical id) to the folder of the package."""
    base = tmp_path_factory.mktemp("built")
    with ThreadPoolExecutor(max_workers=2) as pool:
        built = pool.map(lambda key: build(key[0], key[1], base.joinpath(*key)), PARTS)
        return dict(zip(PARTS, built, strict=True))


def files(tree: Path) -> list[Path]:
    """Return all files below a folder."""
    return [path for path in tree.rglob("*") if path.is_file()]


def size(tree: Path) -> int:
    """Return the size of all files below a folder, in bytes."""
    return sum(path.stat().st_size for path in files(tree))


def libraries(tree: Path) -> dict[str, elf.SharedLibrary]:
    """Return the shared libraries below a folder, as read from their ELF files, by file name."""
    return {path.name: elf.read(path) for path in files(tree) if ".so" in path.suffixes}


EACH_ARCHITECTURE = pytest.mark.parametrize("architecture", ARCHITECTURES)
EACH_PART = pytest.mark.parametrize(("architecture", "part"), PARTS)


@EACH_ARCHITECTURE
def test_the_layer_is_at_most_120_mib_and_42_mb_zipped(
    trees: Trees, architecture: str, tmp_path: Path
) -> None:
    tree = trees[architecture, "PyArrowLayer"]
    # Level 5 takes two thirds of the time of the default level 6, and its file is 1 % larger.
    with zipfile.ZipFile(tmp_path / "layer.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=5) as archive:
        for path in files(tree):
            archive.write(path, path.relative_to(tree))
    assert size(tree) <= 120 * MIB
    assert (tmp_path / "layer.zip").stat().st_size <= 42 * MB


@EACH_ARCHITECTURE
def test_the_worker_with_its_layer_is_at_most_150_mib(trees: Trees, architecture: str) -> None:
    assert sum(size(trees[architecture, part]) for part in MAKEFILES) <= 150 * MIB


@EACH_ARCHITECTURE
def test_the_dead_letter_function_is_built_like_the_worker(architecture: str, tmp_path: Path) -> None:
    recipes = []
    for function in ("MetricsWorkerFunction", "DeadLetterFunction"):
        make = ["make", "--dry-run", "--makefile", str(ROOT / "src/Makefile"), f"build-{function}"]
        run = subprocess.run(
            [*make, f"ARTIFACTS_DIR={tmp_path}", f"PYTHON={sys.executable}"],
            cwd=ROOT / "layers/platform" / architecture,
            capture_output=True,
            text=True,
            check=True,
        )
        recipes.append(run.stdout)
    worker, dead_letters = recipes
    assert "metrics_worker" in worker
    assert dead_letters == worker


@EACH_ARCHITECTURE
def test_each_library_is_deployed_once_and_boto3_is_not_deployed(trees: Trees, architecture: str) -> None:
    layer = {path.name for path in (trees[architecture, "PyArrowLayer"] / "python").iterdir()}
    function = {path.name for path in trees[architecture, "MetricsWorkerFunction"].iterdir()}
    assert {"pyarrow", "numpy", "bottleneck"} <= layer
    assert {"metrics_worker", "obstore", "pydantic", "pydantic_settings", "aws_lambda_powertools"} <= function
    assert layer & function == set()
    assert not {"boto3", "botocore", "pandas", "tests", "bin"} & (layer | function)


@EACH_PART
def test_packages_contain_no_tests_headers_or_sources_of_libraries(
    trees: Trees, architecture: str, part: str
) -> None:
    tree = trees[architecture, part]
    assert not [path for path in tree.rglob("tests") if path.is_dir()]
    assert not {path.suffix for path in files(tree)} & {
        ".h",
        ".hpp",
        ".cc",
        ".pyx",
        ".pxd",
        ".pxi",
        ".pyi",
        ".a",
    }


@EACH_PART
def test_libraries_are_stripped_and_for_the_right_architecture(
    trees: Trees, architecture: str, part: str
) -> None:
    found = libraries(trees[architecture, part])
    assert found
    assert {library.machine for library in found.values()} == {architecture}
    assert not [name for name, library in found.items() if library.has_symbol_table]


@EACH_PART
def test_libraries_need_no_newer_system_than_that_of_lambda(
    trees: Trees, architecture: str, part: str
) -> None:
    for name, library in libraries(trees[architecture, part]).items():
        for version in library.versions:
            kind, _, number = version.partition("_")
            parts = tuple(map(int, number.split(".")))
            assert parts <= NEWEST[kind], f"{name} needs {version}"


@EACH_PART
def test_libraries_load_only_each_other_and_the_system(trees: Trees, architecture: str, part: str) -> None:
    found = libraries(trees[architecture, part])
    for name, library in found.items():
        elsewhere = {needed for needed in library.needed - set(found) if not SYSTEM.fullmatch(needed)}
        assert not elsewhere, f"{name} needs {elsewhere}"


@EACH_ARCHITECTURE
def test_no_library_needs_a_symbol_of_a_removed_library(trees: Trees, architecture: str) -> None:
    found = libraries(trees[architecture, "PyArrowLayer"])
    defined = frozenset[bytes]().union(*(library.defines for library in found.values()))
    for name, library in found.items():
        # C++ symbols contain their namespace; all others belong to Python and the system.
        missing = [s for s in library.lacks - defined if re.search(rb"arrow|parquet|substrait", s)]
        assert not missing, f"{name} lacks {missing}"


@EACH_PART
def test_every_module_has_byte_code_that_python_does_not_check(
    trees: Trees, architecture: str, part: str
) -> None:
    tree = trees[architecture, part]
    sources = [path for path in files(tree) if path.suffix == ".py"]
    assert sources
    for source in sources:
        compiled = (source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc").read_bytes()
        assert compiled[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(compiled[4:8], "little") == 0b01, "PEP 552: hash-based and unchecked"
        in_lambda = IN_LAMBDA[part] + str(source.relative_to(tree))
        assert marshal.loads(compiled[16:]).co_filename == in_lambda


@pytest.fixture
def here(trees: Trees) -> list[Path]:
    """Return the folders of the function and the layer for the architecture of this machine."""
    architecture = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        pytest.skip("the built libraries are for Linux on x86_64 or arm64")
    return [trees[architecture, "MetricsWorkerFunction"], trees[architecture, "PyArrowLayer"] / "python"]


def test_the_worker_runs_with_only_its_package_and_the_layer(here: list[Path], tmp_path: Path) -> None:
    variables = Stack().properties("MetricsWorkerFunction", "AWS::Lambda::Function")["Environment"][
        "Variables"
    ]
    environment = {name: value for name, value in variables.items() if isinstance(value, str)}
    environment |= {
        "AWS_SQS_RUN_REQUEST_QUEUE_URL": "http://127.0.0.1/queue",
        "AWS_SNS_EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:111122223333:events.fifo",
        "LD_BIND_NOW": "1",  # A missing symbol is reported when a library is loaded.
    }
    script = ROOT / "tests/infrastructure/isolated_run.py"
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(script), *map(str, here)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    modules = {path.stem for path in (ROOT / "src/metrics_worker").glob("*.py")} - {"__init__"}
    assert {f"metrics_worker.{module}" for module in modules} <= set(run.stdout.split())


def test_the_dead_letter_function_runs_with_only_its_package(here: list[Path], tmp_path: Path) -> None:
    function, _ = here
    script = (
        f"import sys; sys.path.insert(0, {str(function)!r})\n"
        "import metrics_worker.dead_letter_handler\n"
        "print(metrics_worker.__file__, *sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path,
        env={
            "AWS_S3_BUCKET": "data-bucket",
            "AWS_SNS_EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:111122223333:completed.fifo",
            "AWS_SQS_RUN_REQUEST_QUEUE_URL": "http://127.0.0.1/queue",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    where, *loaded = run.stdout.split()
    assert where.startswith(str(function))
    assert not {"pyarrow", "numpy", "bottleneck"} & {name.partition(".")[0] for name in loaded}
