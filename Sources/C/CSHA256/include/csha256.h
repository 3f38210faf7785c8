// SHA-256 (FIPS 180-4), for the signatures of object storage.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Hashes `length` bytes into 32.
void csha256(const void *_Nullable source, size_t length, uint8_t *out);

#pragma clang assume_nonnull end
