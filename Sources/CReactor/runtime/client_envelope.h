/* The envelope in which clients get the messages of some topics: a line of JSON before the message.
 *
 *   {"topic":"chat:lobby","position":"17:00f3a9c1d2e4b586"}
 *
 * The position is missing where a topic has none. */
#ifndef CRE_RUNTIME_CLIENT_ENVELOPE_H
#define CRE_RUNTIME_CLIENT_ENVELOPE_H

#include <creactor/record.h>

enum { CRE__MAX_CLIENT_ENVELOPE = 6 * CRE_MAX_TOPIC + 96 };

/* Writes the envelope in front of a message. Returns its length. Bytes of the topic that are not UTF-8 are
 * replaced, since the line is part of a text. */
size_t cre__client_envelope_put(uint8_t out[CRE__MAX_CLIENT_ENVELOPE], cre_slice topic,
                                cre_topic_position position);

#endif
