"""The registry of data sets: their files, splits and options. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oneshot_cli.data.fetch import (
    Progress,
    RemoteFile,
    cache_folder,
    data_folder,
    download,
    find,
    fullest,
    obtain,
)
from oneshot_cli.data.splits import OFFICIAL, SPLITS, WEAK
from oneshot_cli.errors import OneshotError


@dataclass(frozen=True)
class PublishedOn:
    """Keys of published tables (`evaluation/published.json`), and the data that they are on.

    None matches any split, resampling or binarization.
    """

    tables: tuple[str, ...]
    size: int = 28
    split: str | None = None
    resample: str | None = None
    binarization: str | None = None

    def compares(self, split: str | None, size: int, resample: str, binarization: str) -> bool:
        """Whether the tables are on data prepared like this, as far as their sources say."""
        given = {"split": split, "resample": resample, "binarization": binarization}
        return size == self.size and all(
            getattr(self, name) in (None, value) for name, value in given.items()
        )


@dataclass(frozen=True)
class DataSet:
    """The description of a data set in the registry.

    `module` has a function load(data_dir, selection, progress, **options) that returns `Drawings`.
    It is a module of this package or a full name such as "my_package.runes". `options` are the
    names of the options. `splits` are the names of the splits, the default first. `size` is the
    default size in pixels.

    `files` may be in the user's data folder or in one of its `folders`; they are downloaded to the
    first. A data set without files is generated, or is the user's own folder of pictures
    (`is_user_folder`). `conditional` says whether models are evaluated with one context image by
    default. `published` are the published tables on it.

    Raises ValueError for files without folders.
    """

    name: str
    title: str
    module: str
    splits: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    folders: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    source: str = ""
    is_user_folder: bool = False
    size: int = 28
    conditional: bool = True
    published: tuple[PublishedOn, ...] = ()

    def __post_init__(self) -> None:
        if self.files and not self.folders:
            raise ValueError(f"{self.name}: files need the name of a folder, in `folders`")

    def published_tables(
        self, split: str | None, size: int, resample: str, binarization: str = "dynamic"
    ) -> list[str]:
        """Keys of the published tables on these data, prepared like this."""
        same = [p for p in self.published if p.compares(split, size, resample, binarization)]
        return [key for each in same for key in each.tables]

    def local_files(self, data_dir: str | Path | None = None) -> list[Path] | None:
        """The files if they are on this machine, else None. [] if the data set needs no files."""
        if not self.files:
            return None if self.is_user_folder and data_folder(data_dir) is None else []
        return find(self.files, self.folders, data_dir)

    def obtain(
        self, data_dir: str | Path | None = None, progress: Progress | None = None
    ) -> list[Path]:
        """The files. They are downloaded only if the user named no folder. Raises OneshotError."""
        return obtain(self.files, self.folders, data_dir, progress)

    def fetch(
        self, data_dir: str | Path | None = None, progress: Progress | None = None
    ) -> list[Path]:
        """The files, downloaded if they are missing, into the user's folder if one is named.

        `obtain` instead raises an error if the user's folder lacks them. Raises OneshotError.
        """
        found = self.local_files(data_dir)
        if found is not None or not self.files:
            return found or []
        place = fullest(self.files, self.folders, data_folder(data_dir) or cache_folder())
        download([file for file in self.files if not file.within(place)], place, progress)
        return [path for file in self.files if (path := file.within(place))]

    @property
    def downloadable(self) -> bool:
        """Whether all files have addresses and hashes."""
        return bool(self.files) and all(f.urls and f.known_hash for f in self.files)


def get_dataset(name: str) -> DataSet:
    """The data set called `name`. Raises OneshotError if there is none."""
    if name not in DATASETS:
        raise OneshotError(f"there is no data set {name!r}\ndata sets: {', '.join(DATASETS)}")
    return DATASETS[name]


def register(dataset: DataSet) -> DataSet:
    """Add `dataset` to the registry, for `load` and the commands of this process. Returns it."""
    DATASETS[dataset.name] = dataset
    return dataset


_OMNIGLOT = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_MNIST_FILES = tuple(
    RemoteFile(
        f"{stem}-ubyte.gz",
        tuple(f"{mirror}/{stem}-ubyte.gz" for mirror in _MNIST),
        f"md5:{md5}",
        other_names=(f"{stem}-ubyte", f"{stem.replace('-idx', '.idx')}-ubyte"),
    )
    for stem, md5 in (
        ("train-images-idx3", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
)
_MNIST_FOLDERS = ("mnist", "MNIST/raw", "raw")
_AMAT = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"

_ALL = (
    DataSet(
        name="omniglot",
        title="1,623 characters of 50 alphabets, 20 drawings each",
        module="omniglot",
        splits=SPLITS,
        files=tuple(
            RemoteFile(
                f"images_{part}.zip",
                (f"{_OMNIGLOT}/images_{part}.zip",),
                f"md5:{md5}",
                unpacked=f"images_{part}",
            )
            for part, md5 in (
                ("background", "68d2efa1b9178cc56df9314c21c6e718"),
                ("evaluation", "6b91aef0f799c5bb55b94e3f2daec811"),
            )
        ),
        folders=("omniglot", "omniglot-py"),
        source="Lake, Salakhutdinov, Tenenbaum 2015; github.com/brendenlake/omniglot",
        published=(PublishedOn(("omniglot-strong",), 26, "strong-45-5", "max"),),
    ),
    DataSet(
        name="glyphs",
        title="generated alphabets, from a seed, without a download",
        module="glyphs",
        splits=(WEAK,),
        options=("alphabets", "characters", "drawings", "seed"),
    ),
    DataSet(
        name="symbols",
        title="generated pictograms, from a seed, without a download",
        module="symbols",
        splits=(WEAK,),
        options=("alphabets", "characters", "drawings", "seed"),
    ),
    DataSet(
        name="mnist",
        title="70,000 digits, binarized dynamically or by threshold",
        module="mnist",
        splits=(OFFICIAL,),
        files=_MNIST_FILES,
        folders=_MNIST_FOLDERS,
        options=("binarization",),
        source="LeCun, Bottou, Bengio, Haffner 1998",
        conditional=False,
        published=(PublishedOn(("mnist", "mnist-dynamic"), binarization="dynamic"),),
    ),
    DataSet(
        name="mnist-static",
        title="70,000 digits, with a fixed binarization",
        module="mnist_static",
        splits=(OFFICIAL,),
        files=tuple(
            RemoteFile(
                f"binarized_mnist_{part}.amat",
                (f"{_AMAT}/binarized_mnist_{part}.amat",),
                f"sha256:{sha256}",
            )
            for part, sha256 in (
                ("train", "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d"),
                ("valid", "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2"),
                ("test", "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"),
            )
        ),
        folders=("mnist-static", "mnist", "binarized_mnist"),
        source="Salakhutdinov, Murray 2008; files of Larochelle",
        conditional=False,
        published=(PublishedOn(("mnist", "mnist-static")),),
    ),
    DataSet(
        name="mnist-two",
        title="two digits on a canvas of 60 x 60, made of MNIST as in DRAW",
        module="mnist_two",
        splits=(OFFICIAL,),
        files=_MNIST_FILES,
        folders=_MNIST_FOLDERS,
        options=("binarization", "seed"),
        source="Gregor et al. 2015, section 4.3",
        size=60,
        conditional=False,
    ),
    DataSet(
        name="omniglot-burda",
        title="Omniglot in grey, 24,345 drawings to train and 8,070 to test",
        module="burda",
        splits=(OFFICIAL,),
        files=(RemoteFile("chardata.mat"),),
        folders=("omniglot-burda", "omniglot", "OMNIGLOT"),
        options=("binarization",),
        source="Burda, Grosse, Salakhutdinov 2015; github.com/yburda/iwae, datasets/OMNIGLOT",
        conditional=False,
        published=(PublishedOn(("omniglot-burda",)),),
    ),
    DataSet(
        name="cifar10",
        title="60,000 colour pictures of ten kinds of things, 32 x 32",
        module="cifar10",
        splits=(OFFICIAL,),
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                "md5:c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        folders=("cifar10", "cifar-10"),
        source="Krizhevsky 2009",
        size=32,
    ),
    DataSet(
        name="svhn",
        title="99,289 colour pictures of house numbers, 32 x 32",
        module="svhn",
        splits=(OFFICIAL,),
        files=tuple(
            RemoteFile(
                f"{part}_32x32.mat",
                (f"http://ufldl.stanford.edu/housenumbers/{part}_32x32.mat",),
                f"md5:{md5}",
            )
            for part, md5 in (
                ("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
                ("test", "eb5a983be6a315427106f1b164d9cef3"),
            )
        ),
        folders=("svhn",),
        source="Netzer et al. 2011",
        size=32,
    ),
    DataSet(
        name="folder",
        title="your own pictures: alphabet/character/*.png, character/*.png or *.png",
        module="folder",
        splits=(WEAK,),
        is_user_folder=True,
    ),
)
DATASETS: dict[str, DataSet] = {dataset.name: dataset for dataset in _ALL}
