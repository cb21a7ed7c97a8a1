import { script } from './redis-connection.ts';

/** How many changes the news remembers; who was away for more reads the whole set. */
export const NEWS_LENGTH = 10_000;

// How many expired members leave with one append, and how long they must have been over, by the clocks of Redis and caller.
const LEAVE = 20;
const LEAVE_AFTER = 60_000;

// How long it is remembered that somebody may not ring.
const MUTE_FOR = 86_400_000;

// No life of a token that anybody can set is longer (400 days and the leeway): what says so is none of ours.
const LONGEST = 34_560_060_000;

// Log time is the clock of Redis, but never set back: a failover can bring one that is behind, and what was taken back up to
// an instant must stay older than what is issued after it. Where it is ahead it goes a little slower, until the clock is
// there. What a process knows of it counts if it is further than clocks drift.
const SLOWER = 0.999;
const LEAP = 50;

const NOW = `
local time = redis.call('TIME')
local real = time[1] * 1000 + time[2] / 1000
local now = math.floor(real)
`;

// The set: members by expiry, and without end the epoch ('epoch:…') and the longest life of a token ('life:…'); while
// 'mute' stands, somebody who appends may not ring.
const LOG = `
local function meta()
  local epoch, life = false, 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')) do
    if string.sub(member, 1, 6) == 'epoch:' then epoch = epoch or member end
    if string.sub(member, 1, 5) == 'life:' then
      local said = tonumber(string.sub(member, 6))
      if said and said <= ${LONGEST} then life = math.max(life, said) end
    end
  end
  return epoch, life
end
local function raise(life, wanted)
  if wanted <= life then return life end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')) do
    if string.sub(member, 1, 5) == 'life:' then redis.call('ZREM', KEYS[1], member) end
  end
  redis.call('ZADD', KEYS[1], '+inf', 'life:' .. string.format('%.0f', wanted))
  return wanted
end
local function tell(member, expiry)
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', ${NEWS_LENGTH}, '*', 'm', member, 'x', expiry)
end
-- The beat: log time when it was last asked for, and Redis' clock then.
local function logTime(known)
  local former = redis.pcall('GET', KEYS[3])
  local last, at = string.match(type(former) == 'string' and former or '', '^(%d+%.%d+) (%d+%.%d+)$')
  local instant = last and tonumber(last) + math.max(real - tonumber(at), 0) * ${SLOWER} or 0
  if known - instant > ${LEAP} then instant = known end
  if instant - real > ${LONGEST} then instant = 0 end
  return math.max(instant, real)
end
local function beat(instant, life)
  redis.call('SET', KEYS[3], string.format('%.3f %.3f', instant, real), 'PX', string.format('%.0f', math.max(life, 10000)))
end
local function found(candidate)
  local epoch, life = meta()
  local whole = epoch and redis.call('XLEN', KEYS[2]) > 0
  if not epoch then
    epoch = 'epoch:' .. candidate
    redis.call('ZADD', KEYS[1], '+inf', epoch)
  end
  -- Never the same twice: who read the news that were lost must not take these for them.
  if not whole then tell('start:' .. candidate, '0') end
  return epoch, life
end
`;

/**
 * KEYS set, news, beat; ARGV epoch candidate, channel, caller's clock, longest life, log time as the caller knows it, then
 * member and expiry of each entry; an empty expiry is a cut-off, dated here.
 */
export const APPEND = script(`${NOW}${LOG}
local _, life = found(ARGV[1])
life = raise(life, tonumber(ARGV[4]))
local instant = logTime(tonumber(ARGV[5]))
local changed = false
for at = 6, #ARGV, 2 do
  local member, expiry = ARGV[at], ARGV[at + 1]
  if expiry == '' then
    instant = math.max(instant, tonumber(ARGV[5]))
    member = member .. ':' .. string.format('%.0f', math.floor(instant))
    expiry = string.format('%.0f', instant + life)
  end
  local stands = redis.call('ZSCORE', KEYS[1], member)
  if tonumber(expiry) > math.min(now, tonumber(ARGV[3])) and (not stands or tonumber(stands) < tonumber(expiry)) then
    redis.call('ZADD', KEYS[1], expiry, member)
    tell(member, expiry)
    changed = true
  end
end
local over = string.format('%.0f', math.min(now, tonumber(ARGV[3])) - ${LEAVE_AFTER})
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', over, 'LIMIT', 0, ${LEAVE})
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
if changed then
  local rung = redis.pcall('PUBLISH', ARGV[2], '')
  if type(rung) == 'table' then redis.call('ZADD', KEYS[1], string.format('%.0f', now + ${MUTE_FOR}), 'mute') end
end
beat(instant, life)
return string.format('%.0f', math.floor(instant))
`);

/**
 * KEYS set, news, beat; ARGV epoch candidate, longest life, log time as the caller knows it, place or '', how many. Writes
 * always, so that no replica and no cut-off primary can pass for the truth.
 */
export const READ = script(`${NOW}${LOG}
local epoch, life = found(ARGV[1])
life = raise(life, tonumber(ARGV[2]))
local instant = logTime(tonumber(ARGV[3]))
beat(instant, life)
local news
if ARGV[4] == '' then
  news = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
else
  news = redis.call('XRANGE', KEYS[2], ARGV[4], '+', 'COUNT', ARGV[5])
  if #news == 0 then news = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1) end
end
local mute = tonumber(redis.call('ZSCORE', KEYS[1], 'mute') or 0) > now
return { string.format('%.3f', real), string.format('%.3f', instant), epoch, news, mute and 1 or 0 }
`);

/** KEYS set; ARGV cursor, how many. */
export const PAGE = script(`
local page = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local epoch = false
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')) do
  if string.sub(member, 1, 6) == 'epoch:' then epoch = epoch or member end
end
return { epoch, page[1], page[2] }
`);
