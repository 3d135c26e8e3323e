/* The scripts that Redis runs. Each is one atomic step. */
#include "redis.h"

/* The time of the server in milliseconds. */
#define NOW                             \
    "local time = redis.call('TIME')\n" \
    "local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)\n"

/* A machine has no longer a member of a topic; and all entries that have expired, which it returns. */
#define LEAVE                                                                                      \
    "local function add(list, ...)\n"                                                              \
    "  for _, value in ipairs({...}) do list[#list + 1] = value end\n"                             \
    "end\n"                                                                                        \
    "local function machines(value) return tonumber(string.match(value or '', '^%d+')) or 0 end\n" \
    "local function leave(p, id, changes)\n"                                                       \
    "  local value = redis.call('HGET', p, id)\n"                                                  \
    "  if not value then return end\n"                                                             \
    "  local count, info = machines(value) - 1, string.match(value, '^%d*:(.*)$') or ''\n"         \
    "  if count > 0 then\n"                                                                        \
    "    redis.call('HSET', p, id, count .. ':' .. info)\n"                                        \
    "  else\n"                                                                                     \
    "    redis.call('HDEL', p, id)\n"                                                              \
    "    add(changes, 'l', id, info)\n"                                                            \
    "  end\n"                                                                                      \
    "end\n"                                                                                        \
    "local function expire(p, x, most, changes)\n"                                                 \
    "  local entries = redis.call('ZRANGEBYSCORE', x, '-inf', now, 'LIMIT', 0, most)\n"            \
    "  for _, entry in ipairs(entries) do\n"                                                       \
    "    redis.call('ZREM', x, entry)\n"                                                           \
    "    leave(p, string.sub(entry, 17), changes)\n"                                               \
    "  end\n"                                                                                      \
    "  return #entries\n"                                                                          \
    "end\n"

/*
 * Numbers a message, keeps it and publishes it, so that the order of numbers is that of arrival. A
 * message that was already published, before its reply was lost, only gets that reply. Keys: meta,
 * history, id. Arguments: channel, message, epoch for a new history, count, seconds, lifetime of the meta
 * data, lifetime of the id.
 */
#define PUBLISH(VERB)                                                           \
    "local done = redis.call('HMGET', KEYS[3], 'e', 's')\n"                     \
    "if done[1] then return done end\n"                                         \
    "local e = redis.call('HGET', KEYS[1], 'e')\n"                              \
    "if not e then\n"                                                           \
    "  e = ARGV[3]\n"                                                           \
    "  redis.call('DEL', KEYS[2])\n"                                            \
    "  redis.call('HSET', KEYS[1], 'e', e, 's', '0')\n"                         \
    "end\n"                                                                     \
    "local s = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 's', 1))\n" \
    "redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], s .. '-0', 'd', ARGV[2])\n" \
    "redis.call('EXPIRE', KEYS[2], ARGV[5])\n"                                  \
    "redis.call('EXPIRE', KEYS[1], ARGV[6])\n"                                  \
    "redis.call('HSET', KEYS[3], 'e', e, 's', s)\n"                             \
    "redis.call('EXPIRE', KEYS[3], ARGV[7])\n"                                  \
    "redis.call('" VERB "', ARGV[1], '1' .. s .. ':' .. e .. ':' .. ARGV[2])\n" \
    "return {e, s}\n"

const char *const cre__broker_sharded_script = PUBLISH("SPUBLISH");

const char *const cre__broker_scripts[CRE__SCRIPTS] = {
    [CRE__SCRIPT_PUBLISH] = PUBLISH("PUBLISH"),
    /*
     * Returns epoch, offset, whether all messages since a position are there, and these, each behind its
     * offset. They are there if nothing after the position was removed from the beginning of the history.
     * Offsets may be missing: Redis 7.0 can count one twice when it was killed while it wrote its file.
     * A server that has lost messages behind the position, as a replica may that became the master, begins a
     * new history, so that no position means two messages. After a position of another history that this
     * server has given come all messages of the current one: what it has is lost to nobody.
     * The history is read in pieces, up to the most bytes. If there are more, the messages up to there come
     * after a position that this server has given, with the offset of the last one and 2: it asks again from
     * there. After other positions, and if there are none up to there, 3 comes without messages.
     * Keys: meta, history. Arguments: epoch for a new history, epoch and offset of the position (an empty
     * epoch: none), the most messages, the most bytes, lifetime of the meta data, which is renewed if the
     * server accepts writes, '1' for a position that this server has given; clients may name any.
     */
    [CRE__SCRIPT_RECOVER] =
        "local e = redis.call('HGET', KEYS[1], 'e')\n"
        "if not e then\n"
        "  e = ARGV[1]\n"
        "  redis.call('DEL', KEYS[2])\n"
        "  redis.call('HSET', KEYS[1], 'e', e, 's', '0')\n"
        "end\n"
        "redis.pcall('EXPIRE', KEYS[1], ARGV[6])\n"
        "local s = redis.call('HGET', KEYS[1], 's')\n"
        "if ARGV[2] == '' then return {e, s, 1, {}} end\n"
        "local since, known = tonumber(ARGV[3]), ARGV[7] == '1'\n"
        "if known and e == ARGV[2] and tonumber(s) < since then\n"
        "  e, s = ARGV[1], '0'\n"
        "  redis.call('DEL', KEYS[2])\n"
        "  redis.call('HSET', KEYS[1], 'e', e, 's', s)\n"
        "end\n"
        "if e ~= ARGV[2] then\n"
        "  if not known then return {e, s, 0, {}} end\n"
        "  since = 0\n"
        "end\n"
        "local missing = tonumber(s) - since\n"
        "if missing < 0 or missing > tonumber(ARGV[4]) then return {e, s, 0, {}} end\n"
        "if missing == 0 then return {e, s, 1, {}} end\n"
        "local function offset(entry) return string.match(entry[1], '^%d+') end\n"
        "local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]\n"
        "if not oldest or tonumber(offset(oldest)) > since + 1 then return {e, s, 0, {}} end\n"
        "local messages, bytes, last, found = {}, 0, since, nil\n"
        "repeat\n"
        "  local first = string.format('%.0f-0', last + 1)\n"
        "  found = redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', 16)\n"
        "  for _, entry in ipairs(found) do\n"
        "    bytes = bytes + #entry[2][2] + 48\n"
        "    if bytes > tonumber(ARGV[5]) then\n"
        "      if not known or last == since then return {e, s, 3, {}} end\n"
        "      return {e, messages[#messages - 1], 2, messages}\n"
        "    end\n"
        "    messages[#messages + 1] = offset(entry)\n"
        "    messages[#messages + 1] = entry[2][2]\n"
        "    last = tonumber(offset(entry))\n"
        "  end\n"
        "until #found < 16\n"
        "return {e, s, 1, messages}\n",
    /*
     * Adds, renews and removes members of a topic for one machine, and returns triples of 'j' or 'l', id and
     * info for the members that are new or have left. A member is there as long as a machine has it: `info`
     * has the number of those machines in front of the text, `expiry` an entry for each of them; 'x' in place
     * of 'l' lets that expire now, for another machine to report. Some entries that have expired are removed
     * on the way. Keys: info, expiry, index of the partition. Arguments: topic, machine, lifetime, then for
     * each member 'j' or 'l', id, info.
     */
    [CRE__SCRIPT_MEMBERS] =
        NOW LEAVE "local p, x, changes, retires = KEYS[1], KEYS[2], {}, false\n"
                  "if redis.call('EXISTS', x) == 0 then redis.call('DEL', p) end\n"
                  "for i = 4, #ARGV, 3 do\n"
                  "  local id = ARGV[i + 1]\n"
                  "  local entry = ARGV[2] .. id\n"
                  "  if ARGV[i] == 'l' then\n"
                  "    if redis.call('ZREM', x, entry) == 1 then leave(p, id, changes) end\n"
                  "  elseif ARGV[i] == 'x' then\n"
                  "    redis.call('ZADD', x, 'XX', now, entry)\n"
                  "    retires = true\n"
                  "  else\n"
                  "    local added = redis.call('ZADD', x, now + ARGV[3], entry)\n"
                  "    local count = machines(redis.call('HGET', p, id))\n"
                  "    if count == 0 then add(changes, 'j', id, ARGV[i + 2]) end\n"
                  "    redis.call('HSET', p, id, math.max(count + added, 1) .. ':' .. ARGV[i + 2])\n"
                  "  end\n"
                  "end\n"
                  "if retires then\n"
                  "  redis.call('ZADD', KEYS[3], now, ARGV[1])\n"
                  "  return changes\n"
                  "end\n"
                  "expire(p, x, 64, changes)\n"
                  "if redis.call('EXISTS', x) == 0 then\n"
                  "  redis.call('ZREM', KEYS[3], ARGV[1])\n"
                  "else\n"
                  "  redis.call('ZADD', KEYS[3], 'NX', now + ARGV[3], ARGV[1])\n"
                  "  for i = 1, 3 do redis.call('EXPIRE', KEYS[i], 86400) end\n"
                  "end\n"
                  "return changes\n",
    /*
     * Removes expired members of the topics of a partition. Returns whether there may be more, then for each
     * topic its name and its changes, as above. Key: index of the partition, which has the topics by the time
     * at which a member may have expired. Argument: the beginning of the partition's keys.
     */
    [CRE__SCRIPT_SWEEP] =
        NOW LEAVE "local topics = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 16)\n"
                  "local result, more = {0}, #topics == 16\n"
                  "for i, topic in ipairs(topics) do\n"
                  "  local p, x, changes = ARGV[1] .. 'p:' .. topic, ARGV[1] .. 'x:' .. topic, {}\n"
                  "  if expire(p, x, 256, changes) == 256 then more = true end\n"
                  "  local first = redis.call('ZRANGE', x, 0, 0, 'WITHSCORES')\n"
                  "  if first[2] then\n"
                  "    redis.call('ZADD', KEYS[1], first[2], topic)\n"
                  "  else\n"
                  "    redis.call('DEL', p)\n"
                  "    redis.call('ZREM', KEYS[1], topic)\n"
                  "  end\n"
                  "  result[2 * i], result[2 * i + 1] = topic, changes\n"
                  "end\n"
                  "if more then result[1] = 1 end\n"
                  "return result\n",
    /*
     * Returns the number of members whose machines are alive, whether they follow, then of each its id and
     * info. Keys: info, expiry. Arguments: the most members, the most bytes of them.
     */
    [CRE__SCRIPT_PRESENT] =
        NOW "local p, x, most = KEYS[1], KEYS[2], tonumber(ARGV[1])\n"
            "local live = redis.call('ZCOUNT', x, '(' .. now, '+inf')\n"
            "if live == redis.call('ZCARD', x) and (most == 0 or redis.call('HLEN', p) > most) then\n"
            "  return {redis.call('HLEN', p), 0}\n"
            "end\n"
            "if live > 100000 then return {redis.call('HLEN', p), 0} end\n"
            "local seen, result, count, bytes = {}, {0, 1}, 0, 0\n"
            "for _, entry in ipairs(redis.call('ZRANGEBYSCORE', x, '(' .. now, '+inf')) do\n"
            "  local id = string.sub(entry, 17)\n"
            "  if not seen[id] then\n"
            "    seen[id] = true\n"
            "    count = count + 1\n"
            "    if count <= most and bytes <= tonumber(ARGV[2]) then\n"
            "      local info = string.match(redis.call('HGET', p, id) or ':', '^%d*:(.*)$') or ''\n"
            "      bytes = bytes + #id + #info\n"
            "      result[2 * count + 1], result[2 * count + 2] = id, info\n"
            "    end\n"
            "  end\n"
            "end\n"
            "if count > most or bytes > tonumber(ARGV[2]) then return {count, 0} end\n"
            "result[1] = count\n"
            "return result\n",
    /*
     * An operation on a value. Returns what redis_values.c knows as the results, and the value or sum. Key:
     * the value. Arguments: kind, condition, expected value, lifetime in milliseconds or 0, value or amount.
     */
    [CRE__SCRIPT_VALUE] =
        "local k, kind, life = KEYS[1], ARGV[1], tonumber(ARGV[4])\n"
        "local old = redis.call('GET', k)\n"
        "if kind == 'get' then\n"
        "  if not old then return {0} end\n"
        "  if #old > 65536 then return {3} end\n"
        "  return {1, old}\n"
        "end\n"
        "if ARGV[2] == 'absent' and old or ARGV[2] == 'equal' and old ~= ARGV[3] then return {0} end\n"
        "if kind == 'remove' then return {redis.call('DEL', k)} end\n"
        "if kind == 'set' then\n"
        "  if life == 0 then redis.call('SET', k, ARGV[5])\n"
        "  else redis.call('SET', k, ARGV[5], 'PX', ARGV[4]) end\n"
        "  return {1}\n"
        "end\n"
        "local sum = redis.pcall('INCRBY', k, ARGV[5])\n"
        "if type(sum) == 'table' and sum.err then\n"
        "  if string.find(sum.err, 'integer') or string.find(sum.err, 'overflow') then return {2} end\n"
        "  return sum\n"
        "end\n"
        "if not old and life > 0 then redis.call('PEXPIRE', k, ARGV[4]) end\n"
        "return {1, redis.call('GET', k)}\n", /* the sum as a number of Lua would be rounded */
};
