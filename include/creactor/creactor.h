/*
 * All public headers except uv.h.
 *
 * Functions have one verb for each idea:
 *
 *   create, destroy    an object of the library with one owner
 *   retain, release    of an object with several owners, which its last owner frees
 *   init, deinit       an object in memory of the caller
 *   start, stop        something that runs on a loop or a thread and calls back
 *   open, close        a handle on something that outlives it; a connection is closed
 *   attach             an object in shared memory, in a program that was executed
 *   adopt, hand_over   take a socket, or a loop, of the caller over
 *   get_...            copies values into memory of the caller, as many bytes as the caller names
 *   set_...            changes a setting
 *   check              returns 0 or the error; valid and other adjectives return bool
 *   parse, write       from bytes to a structure and back
 *   next, list         one step of an iteration, which ..._of begins where its state is not all zero
 *
 * A noun alone (cre_engine_table, cre_block_length) returns what it names.
 */
#ifndef CREACTOR_H
#define CREACTOR_H

#include "address.h"
#include "alloc.h"
#include "broker.h"
#include "buffer.h"
#include "client.h"
#include "cluster.h"
#include "connect.h"
#include "dispatch.h"
#include "engine.h"
#include "error.h"
#include "export.h"
#include "file.h"
#include "framing.h"
#include "handshake.h"
#include "http.h"
#include "http2.h"
#include "http2_request.h"
#include "http_client.h"
#include "http_decompress.h"
#include "http_encoder.h"
#include "http_reader.h"
#include "listen.h"
#include "loop.h"
#include "nats.h"
#include "port.h"
#include "record.h"
#include "redis.h"
#include "redis_session.h"
#include "session.h"
#include "shared_atomic.h"
#include "shared_lock.h"
#include "shared_rate.h"
#include "shared_table.h"
#include "shared_values.h"
#include "signature.h"
#include "table.h"
#include "tls.h"
#include "version.h"
#include "websocket.h"
#include "websocket_deflate.h"

#endif
