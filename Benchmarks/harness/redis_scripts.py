"""The scripts of a cluster that Redis runs, as Sources/CReactor/broker has them."""

import ctypes
import subprocess

from .paths import ROOT

PUBLISH, RECOVER, MEMBERS, SWEEP = range(4)  # of CRE__SCRIPT_...


def scripts(folder):
    """The text of each; a library is built in the folder."""
    library = f"{folder}/scripts.so"
    core = ROOT / "Sources/CReactor"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT}/include", f"-I{core}", f"-I{core}/broker", core / "broker/redis_scripts.c",
                    "-o", library], check=True)
    return list((ctypes.c_char_p * 4).in_dll(ctypes.CDLL(library), "cre__broker_scripts"))
