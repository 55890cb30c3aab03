#!/bin/sh
# Lays out LLVM 23.1 where the CUDA build looks for it, from two Python wheels (92 MB to download,
# 235 MB laid out). `just build-cuda` calls it.
#
# `--features cuda` builds burn's tracel-llvm-bundler. Its build script fetches an LLVM bundle,
# from a place that not every network reaches, unless the folder below holds a file
# `.tracel-llvm-installed`. This script makes that folder: LLVM's static libraries and headers with
# the targets X86 and NVPTX, and an `llvm-config` that answers what the bundler asks. Run again, it
# changes nothing; `--force` lays it out anew.
#
# Needs python3 with pip. The build then needs a C++ compiler (g++) beside cargo.
set -eu

# The bundle that Cargo.lock asks for (`tracel-llvm-bundler`), and what stands in for it. Any LLVM
# 23.1 will do.
BUNDLE=${TRACEL_LLVM_BUNDLE:-23.1.0-4}
WHEEL=23.1.1.post0
BASE_SHA256=dcfec888abfaa418be77d41af585805f31463584cf9c90582992c00f392c1ac5
EXTRA_SHA256=c36e834d9a4e9cf9759f27fece65711ece7a2fc2b5a96dbb15d66f5e9e787929

case ${XDG_DATA_HOME:-} in
    /*) data=$XDG_DATA_HOME ;;
    *) data=$HOME/.local/share ;;
esac
prefix=$data/tracel/tracel-llvm-$BUNDLE
sentinel=$prefix/.tracel-llvm-installed

if [ "${1:-}" != --force ] && [ -e "$sentinel" ]; then
    echo "already there: $prefix ($("$prefix/bin/llvm-config" --version))"
    exit 0
fi
if [ "$(uname -s) $(uname -m)" != "Linux x86_64" ]; then
    echo "the digests here are of the wheels for Linux on x86-64" >&2
    exit 1
fi

mkdir -p "$data/tracel"
work=$(mktemp -d "$data/tracel/layout-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat >"$work/requirements.txt" <<EOF
mlc-llvm-static==$WHEEL --hash=sha256:$BASE_SHA256
mlc-llvm-static-extra-targets==$WHEEL --hash=sha256:$EXTRA_SHA256
EOF
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --dest "$work/wheels" --requirement "$work/requirements.txt"

python3 - "$work" <<'EOF'
import pathlib, re, subprocess, sys, zipfile

work = pathlib.Path(sys.argv[1])
base, = (work / "wheels").glob("mlc_llvm_static-*.whl")
extra, = (work / "wheels").glob("mlc_llvm_static_extra_targets-*.whl")
whole, prefix = work / "whole", work / "prefix"
root = "mlc_llvm_static/static/"

# The headers, the libraries of X86 and of no target, and what says in which order they are linked.
with zipfile.ZipFile(base) as wheel:
    names = [name for name in wheel.namelist() if name.startswith(root)]
    wheel.extractall(whole, names)
native = whole / root
config = [sys.executable, native / "bin/llvm-config.py", "--profile=native"]
ask = lambda option: subprocess.run([*config, option], check=True, capture_output=True, text=True).stdout.split()
version, libs, system_libs = ask("--version")[0], ask("--libs"), ask("--system-libs")
flags = {option: [flag for flag in ask(option) if not flag.startswith("-I") and "MLC_LLVM_STATIC" not in flag]
         for option in ("--cflags", "--cxxflags")}

prefix.mkdir()
(native / "include").rename(prefix / "include")
(prefix / "lib").mkdir()
for library in native.glob("lib/*.a"):
    library.rename(prefix / "lib" / library.name)

# NVPTX beside X86. It has no assembly parser, no disassembler and no cost model.
with zipfile.ZipFile(extra) as wheel:
    for name in wheel.namelist():
        if re.fullmatch(root + r"lib/libLLVMNVPTX\w+\.a", name):
            (prefix / "lib" / pathlib.Path(name).name).write_bytes(wheel.read(name))
nvptx = ["-lLLVMNVPTXCodeGen", "-lLLVMNVPTXDesc", "-lLLVMNVPTXInfo"]
for library in nvptx + libs:
    assert (prefix / "lib" / f"lib{library[2:]}.a").is_file(), library
configs = prefix / "include/llvm/Config"
for file in sorted((configs / "mlc-native").iterdir()):
    text = file.read_text()
    if file.name in ("Targets.def", "AsmPrinters.def"):
        text, found = re.subn(r"^(LLVM_\w+)\(X86\)$", r"\1(NVPTX)\n\1(X86)", text, flags=re.M)
        assert found == 1, file
    if file.name == "Targets.h":
        text, found = re.subn(r"(LLVM_HAS_NVPTX_TARGET) 0", r"\1 1", text)
        assert found == 1, file
    (configs / file.name).write_text(text)

(prefix / "bin").mkdir()
script = prefix / "bin/llvm-config"
script.write_text(f"""#!/bin/sh
# Answers tracel-llvm-bundler's questions about the static LLVM beside it.
prefix=$(cd "$(dirname "$0")/.." && pwd)
for option; do
    case $option in
        --link-static) ;;
        --version) echo "{version}" ;;
        --prefix) echo "$prefix" ;;
        --bindir) echo "$prefix/bin" ;;
        --libdir) echo "$prefix/lib" ;;
        --includedir) echo "$prefix/include" ;;
        --cflags) echo "-I$prefix/include {' '.join(flags['--cflags'])}" ;;
        --cxxflags) echo "-I$prefix/include {' '.join(flags['--cxxflags'])}" ;;
        --libs) echo "{' '.join(nvptx + libs)}" ;;
        --libnames) echo "{' '.join(f'lib{library[2:]}.a' for library in nvptx + libs)}" ;;
        --system-libs) echo "{' '.join(system_libs)}" ;;
        --targets-built) echo "NVPTX X86" ;;
        *)
            echo "llvm-config: no answer to $option" >&2
            exit 1
            ;;
    esac
done
""")
script.chmod(0o755)
EOF

# The new folder takes the old one's place whole, and the sentinel comes last.
rm -rf "$prefix"
mv "$work/prefix" "$prefix"
: >"$sentinel"
echo "laid out: $prefix ($("$prefix/bin/llvm-config" --version), $("$prefix/bin/llvm-config" --targets-built))"
