/* The table of ports: protocol, limits and TLS of each. */
#include <sys/socket.h>

#include "core/config.h"
#include "core/memory.h"
#include "engine/engine_internal.h"

CRE__CONFIG(cre_port_options, reserved_http2);

#define DEFAULT(member, fallback) \
    if (!(member)) (member) = (fallback)

/* Settings that a port does not have come from the engine's configuration. */
static void fill(cre_port_options *options, const cre_engine_config *config) {
    if (!options->max_queue) {
        DEFAULT(options->high_water, config->high_water);
        DEFAULT(options->low_water, config->low_water);
    }
    DEFAULT(options->max_message, config->max_message);
    DEFAULT(options->max_head, config->max_head);
    DEFAULT(options->max_body, config->max_body);
    DEFAULT(options->max_queue, config->max_queue);
    DEFAULT(options->high_water, options->max_queue / 2);
    DEFAULT(options->low_water, options->high_water / 4);
    options->read_when_full |= config->read_when_full;
    DEFAULT(options->head_timeout_ms, config->head_timeout_ms);
    DEFAULT(options->body_timeout_ms, config->body_timeout_ms);
    DEFAULT(options->message_timeout_ms, config->message_timeout_ms);
    DEFAULT(options->idle_timeout_ms, config->idle_timeout_ms);
    DEFAULT(options->close_timeout_ms, config->close_timeout_ms);
}

/* Records and queues count in 32 bits, so limits stay below 1 GiB. */
static bool valid(const cre_port_options *options) {
    const uint32_t most = 1u << 30;
    return options->protocol <= CRE_PROTOCOL_DATAGRAM && options->max_message <= most &&
           options->max_body <= most && options->max_queue <= most &&
           options->max_head <= CRE_HTTP_MAX_HEAD && options->high_water <= options->max_queue &&
           options->low_water < options->high_water;
}

/* Copies the framing of a port, if it has one. */
static int take_framing(cre__port *port) {
    if (!port->options.framing) return 0;
    int result = cre__config_take(&port->framing, sizeof port->framing, port->options.framing);
    port->options.framing = NULL; /* borrowed for this call */
    if (result || port->framing.kind == CRE_FRAMING_NONE) return result;
    if (port->options.protocol != CRE_PROTOCOL_STREAM) return CRE_EINVALID;
    return cre_framing_config_check(&port->framing);
}

static bool is_range(const cre_address_range *range) {
    switch (range->family) {
    case AF_INET: return range->prefix <= 32;
    case AF_INET6: return range->prefix <= 128;
    default: return range->family == AF_UNIX && !range->prefix;
    }
}

/* Copies the proxies of a port, if it has some. */
static int take_proxies(cre__port *port) {
    const cre_address_range *from = port->options.proxies;
    uint32_t count = port->options.proxy_count;
    port->options.proxies = NULL; /* borrowed for this call */
    if (!from && !count) return 0;
    if (!from || !count || count > CRE_MAX_PROXIES || port->options.protocol == CRE_PROTOCOL_DATAGRAM)
        return CRE_EINVALID;
    for (uint32_t i = 0; i < count; i++)
        if (!is_range(&from[i])) return CRE_EINVALID;
    port->proxies = cre__malloc(count * sizeof *from);
    if (!port->proxies) return CRE_ENOMEM;
    memcpy(port->proxies, from, count * sizeof *from);
    return 0;
}

/* The limits of a session of HTTP/2. Returns whether they are valid. */
static bool prepare_http2(cre__port *port) {
    const cre_port_options *options = &port->options;
    const uint32_t streams = options->max_streams ? options->max_streams : 100;
    if (streams > 10000 || (options->stream_window && options->stream_window < 65535) ||
        options->stream_window > 16u << 20 ||
        (options->connection_window && options->connection_window < 65535) ||
        options->connection_window > 64u << 20)
        return false;
    port->has_http2 = !options->http1_only && cre_http2_supported() &&
                      (options->protocol == CRE_PROTOCOL_HTTP ||
                       (options->protocol == CRE_PROTOCOL_WEBSOCKET && options->http));
    port->http2 =
        (cre_http2_config){ .size = sizeof port->http2,
                            .max_streams = streams,
                            .max_head = options->max_head < 256 ? 256 : options->max_head,
                            .stream_window = options->stream_window,
                            .connection_window = options->connection_window,
                            /* each stream may have a head of the largest size, twice while it is encoded */
                            .max_memory = (512u << 10) + (streams << 17),
                            .extended_connect = options->protocol == CRE_PROTOCOL_WEBSOCKET,
                            .stall_timeout_ms =
                                options->idle_timeout_ms < INT32_MAX ? options->idle_timeout_ms : INT32_MAX };
    return true;
}

/* Completes a port whose options are copied. */
static int prepare(cre__port *port, cre_engine *engine) {
    const cre_engine_config *config = &engine->config;
    int result = take_framing(port);
    if (!result) result = take_proxies(port);
    if (result) return result;
    fill(&port->options, config);
    if (!valid(&port->options) || !prepare_http2(port)) return CRE_EINVALID;
    /* The bound on fragments is there for tiny ones; a limit that was raised for large messages raises it
     * too. */
    uint32_t fragments = (uint32_t)(port->options.max_message / 64);
    port->ws_config = (cre_ws_config){
        .max_message = port->options.max_message,
        .max_fragments = fragments > CRE_WS_DEFAULT_MAX_FRAGMENTS ? fragments : CRE_WS_DEFAULT_MAX_FRAGMENTS,
        .memory = &engine->message_memory,
    };
    port->http_limits = (cre_http_limits){ .max_head = port->options.max_head };
    return 0;
}

int cre__ports_open(cre_engine *engine) {
    cre_engine_config *config = &engine->config;
    if (config->port_count > CRE_MAX_PORTS) return CRE_EINVALID;
    engine->ports = cre__calloc(config->port_count + 1u, sizeof *engine->ports);
    if (!engine->ports) return CRE_ENOMEM;
    /* Behind those that were given is the one for all others. */
    cre__port *others = &engine->ports[config->port_count];
    others->options = (cre_port_options){ .size = sizeof others->options,
                                          .protocol = CRE_PROTOCOL_WEBSOCKET,
                                          .http = config->http,
                                          .stream_bodies = config->stream_bodies };
    int result = prepare(others, engine);
    for (uint16_t i = 0; i < config->port_count && !result; i++) {
        cre__port *port = &engine->ports[i];
        result = cre__config_take_at(&port->options, sizeof port->options, config->ports, i);
        if (!result) result = prepare(port, engine);
    }
    config->ports = NULL; /* borrowed for this call */
    return result;
}

void cre__ports_close(cre_engine *engine) {
    for (uint32_t i = 0; engine->ports && i <= engine->config.port_count; i++)
        cre__free(engine->ports[i].proxies);
    cre__free(engine->ports);
}

const cre__port *cre__port_at(const cre_engine *engine, uint16_t index) {
    return &engine->ports[index < engine->config.port_count ? index : engine->config.port_count];
}

/* ---- TLS ---- */

cre_tls *cre__port_tls(const cre_engine *engine, uint16_t port) {
    return port < engine->config.tls_count ? engine->tls[port] : NULL;
}

int cre_engine_set_tls(cre_engine *engine, uint16_t port, cre_tls *tls) {
    uint16_t count = engine->config.tls_count;
    if (port >= CRE_MAX_PORTS) return CRE_EINVALID;
    if (port >= count) {
        if (!tls) return 0;
        cre_tls **grown = cre__realloc(engine->tls, ((size_t)port + 1) * sizeof(cre_tls *));
        if (!grown) return CRE_ENOMEM;
        while (count <= port)
            grown[count++] = NULL;
        engine->tls = grown;
        engine->config.tls_count = count;
    }
    cre_tls_retain(tls);
    cre_tls_release(engine->tls[port]);
    engine->tls[port] = tls;
    return 0;
}

int cre__ports_copy_tls(cre_engine *engine) {
    cre_tls *const *from = engine->config.tls;
    uint16_t count = engine->config.tls_count;
    engine->config.tls = NULL; /* was borrowed */
    engine->config.tls_count = 0;
    int result = 0;
    for (uint16_t i = 0; i < count && !result; i++)
        result = cre_engine_set_tls(engine, i, from[i]);
    return result;
}

void cre__ports_free_tls(cre_engine *engine) {
    for (uint16_t i = 0; i < engine->config.tls_count; i++)
        cre_tls_release(engine->tls[i]);
    cre__free(engine->tls);
}
