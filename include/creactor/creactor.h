/* Everything in one include. */
#ifndef CREACTOR_H
#define CREACTOR_H

#include "address.h"
#include "alloc.h"
#include "buffer.h"
#include "connect.h"
#include "dispatch.h"
#include "engine.h"
#include "error.h"
#include "export.h"
#include "framing.h"
#include "handshake.h"
#include "http.h"
#include "listen.h"
#include "loop.h"
#include "port.h"
#include "record.h"
#include "session.h"
#include "shared_atomic.h"
#include "shared_lock.h"
#include "shared_table.h"
#include "table.h"
#include "tls.h"
#include "version.h"
#include "websocket.h"
#include "websocket_deflate.h"

#endif
