/* The scripts that Redis runs. Each is one atomic step. */
#include "redis.h"

const char
    *const cre__broker_scripts[CRE__SCRIPTS] = {
        /*
         * Numbers a message, keeps it and publishes it, so that the order of numbers is that of arrival. A
         * message that was already published, before its reply was lost, only gets that reply. Keys: meta,
         * history, id. Arguments: channel, message, epoch for a new history, count, seconds, lifetime of the
         * meta data, lifetime of the id.
         */
        [CRE__SCRIPT_PUBLISH] = "local done = redis.call('HMGET', KEYS[3], 'e', 's')\n"
                                "if done[1] then return done end\n"
                                "local e = redis.call('HGET', KEYS[1], 'e')\n"
                                "if not e then\n"
                                "  e = ARGV[3]\n"
                                "  redis.call('DEL', KEYS[2])\n"
                                "  redis.call('HSET', KEYS[1], 'e', e, 's', '0')\n"
                                "end\n"
                                "local s = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 's', 1))\n"
                                "redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], s .. '-0', 'd', ARGV[2])\n"
                                "redis.call('EXPIRE', KEYS[2], ARGV[5])\n"
                                "redis.call('EXPIRE', KEYS[1], ARGV[6])\n"
                                "redis.call('HSET', KEYS[3], 'e', e, 's', s)\n"
                                "redis.call('EXPIRE', KEYS[3], ARGV[7])\n"
                                "redis.call('PUBLISH', ARGV[1], '1' .. s .. ':' .. e .. ':' .. ARGV[2])\n"
                                "return {e, s}\n",
        /*
         * Returns epoch, offset, whether all messages since a position are there, and these, each behind its
         * offset. They are there if nothing after the position was removed from the beginning of the history.
         * Offsets may be missing: Redis 7.0 can count one twice when it was killed while it wrote its file.
         * Keys: meta, history. Arguments: epoch for a new history, epoch and offset of the position (an empty
         * epoch: none), the most messages, the most bytes, lifetime of the meta data.
         */
        [CRE__SCRIPT_RECOVER] =
            "local e = redis.call('HGET', KEYS[1], 'e')\n"
            "if not e then\n"
            "  e = ARGV[1]\n"
            "  redis.call('DEL', KEYS[2])\n"
            "  redis.call('HSET', KEYS[1], 'e', e, 's', '0')\n"
            "  redis.call('EXPIRE', KEYS[1], ARGV[6])\n"
            "end\n"
            "local s = redis.call('HGET', KEYS[1], 's')\n"
            "if ARGV[2] == '' then return {e, s, 1, {}} end\n"
            "local missing = tonumber(s) - tonumber(ARGV[3])\n"
            "if e ~= ARGV[2] or missing < 0 or missing > tonumber(ARGV[4]) then return {e, s, 0, {}} end\n"
            "if missing == 0 then return {e, s, 1, {}} end\n"
            "local function offset(entry) return string.match(entry[1], '^%d+') end\n"
            "local since = tonumber(ARGV[3])\n"
            "local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]\n"
            "if not oldest or tonumber(offset(oldest)) > since + 1 then return {e, s, 0, {}} end\n"
            "local found = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', since + 1), '+')\n"
            "local messages, bytes = {}, 0\n"
            "for i = 1, #found do\n"
            "  messages[2 * i - 1] = offset(found[i])\n"
            "  messages[2 * i] = found[i][2][2]\n"
            "  bytes = bytes + #messages[2 * i]\n"
            "end\n"
            "if bytes > tonumber(ARGV[5]) then return {e, s, 0, {}} end\n"
            "return {e, s, 1, messages}\n",
    };
