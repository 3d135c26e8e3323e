/* Keys of NATS as text: base 32 of a kind, 32 bytes and a checksum; and files of credentials. */
#ifndef CRE_NATS_NKEY_H
#define CRE_NATS_NKEY_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <stdint.h>

enum { CRE__NKEY = 32, CRE__NKEY_TEXT = 56 };

/* Reads the seed of a user, "SU...", without white space. False: it is none. */
bool cre__nkey_seed(cre_slice text, uint8_t seed[CRE__NKEY]);
/* Writes the public key of a user, "U...". */
void cre__nkey_user(const uint8_t key[CRE__NKEY], char out[CRE__NKEY_TEXT]);
/* Finds the token and the seed in a file of credentials. */
bool cre__nats_credentials(cre_slice file, cre_slice *jwt, cre_slice *seed);

#endif
