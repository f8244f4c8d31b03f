"""XML signatures of 2.0b messages: the "high" security level (2.0b rule 514).

    key = SigningKey.from_pem(certificate, private_key)
    data = sign(message, key, now=now, nonce=nonce)

    verified = verify(data, trusted=Trust(fingerprints=["2D:91:98:E4:E4:1D:F7:17:47:82"]), now=now)
    verified.payload.message, verified.nonce

There is no clock and no randomness here: the time and the nonce are arguments, and remembering the nonces that were
seen is the matter of the caller.
"""

from pyopenadr.v2.signature.key import SigningKey, fingerprint, legacy_fingerprint
from pyopenadr.v2.signature.signing import sign
from pyopenadr.v2.signature.switch import SWITCHES
from pyopenadr.v2.signature.trust import Trust, names_of
from pyopenadr.v2.signature.verification import DEFAULT_WINDOW, Document, Verified, verify

__all__ = [
    "DEFAULT_WINDOW",
    "SWITCHES",
    "Document",
    "SigningKey",
    "Trust",
    "Verified",
    "fingerprint",
    "legacy_fingerprint",
    "names_of",
    "sign",
    "verify",
]
