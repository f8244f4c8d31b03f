"""Bytes in, bytes out: how messages travel, without a look into them."""
