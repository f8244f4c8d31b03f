"""The message wing: OpenADR 2.0a and 2.0b.

from pyopenadr.v2 import decode, encode

payload = decode(data)          # bytes -> Payload, or a WireError that says what and where
payload.message["ven_id"]
data = encode(payload)
"""

from pyopenadr.v2 import wire
from pyopenadr.v2.codec import Payload, decode, encode
from pyopenadr.v2.leniency import Deviation
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.wire import Message, Wire
from pyopenadr.v2.xml import Limits

__all__ = ["Deviation", "Limits", "Message", "Payload", "ProfileName", "Wire", "decode", "encode", "wire"]
