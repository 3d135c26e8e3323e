#include "ws/ws_deflate.h"

int cre__ws_inflate(cre_ws_session *session, cre_ws_event *event) {
    (void)session;
    (void)event;
    return CRE_EUNSUPPORTED;
}
