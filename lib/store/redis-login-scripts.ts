import { script } from './redis-connection.ts';

// Every script touches keys of one slot, and takes the time from Redis. None parses JSON: Lua's would turn [] into {}
// and round large integers. Long numbers go back as text, for Redis cuts a Lua number down to an integer.

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

// A login record is a hash: w who (JSON), c created, a absolute end, i idle, s last seen; a family's also g the tip's
// generation, p its parent's, m when the tip was made, u whether it was seen in use, v who vouches for whom. A tombstone has x alone.
const RECORD = `
local function all(...)
  for _, value in ipairs({ ... }) do if not tonumber(value) then return false end end
  return true
end
local function fields(key)
  local got = redis.pcall('HMGET', key, 'w', 'c', 'a', 'i', 's', 'x', 'g', 'p', 'm', 'u')
  if got.err then return { false, corrupt = true } end
  if not got[1] then return got end
  if not all(got[2], got[3], got[4], got[5]) or (got[7] and not all(got[7], got[8], got[9])) then
    return { false, corrupt = true }
  end
  -- The key leaves by itself; its end holds though somebody made it stay.
  if math.min(got[5] + got[4], tonumber(got[3])) <= now then return { false } end
  return got
end
local function keep(key, idle, absolute)
  redis.call('PEXPIREAT', key, string.format('%.0f', math.min(now + idle, absolute)))
end
local function text(number) return string.format('%.0f', number) end
local function touch(key, row, record)
  record[5] = text(now)
  redis.call('HSET', key, 's', record[5])
  keep(key, tonumber(record[4]), tonumber(record[3]))
  if row then keep(row, tonumber(record[4]), tonumber(record[3])) end
end
local function entomb(key, record, why)
  redis.call('DEL', key)
  redis.call('HSET', key, 'x', why)
  redis.call('PEXPIREAT', key, record[3])
end
`;

/** KEYS index; ARGV sid, absolute. Names a login, forgets those past their end. */
export const ANNOUNCE = script(`${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return string.format('%.0f', now)
`);

/** KEYS record, row; ARGV who, created, seen, idle, absolute end, row or '', 1 for a family, voucher. */
export const OPEN = script(`${NOW}${RECORD}
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'w', ARGV[1], 'c', ARGV[2], 's', ARGV[3], 'i', ARGV[4], 'a', ARGV[5])
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], 'g', 0, 'p', -1, 'm', ARGV[3], 'u', 1, 'v', ARGV[8]) end
keep(KEYS[1], tonumber(ARGV[4]), tonumber(ARGV[5]))
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[2], ARGV[6])
  keep(KEYS[2], tonumber(ARGV[4]), tonumber(ARGV[5]))
end
return 1
`);

/** KEYS record, row; ARGV touch after, idle of a lone row; both '' to look only. */
export const FIND = script(`${NOW}${RECORD}
local record = fields(KEYS[1])
local row = redis.pcall('GET', KEYS[2])
local corrupt = record.corrupt
if type(row) == 'table' then corrupt = true row = false end
if ARGV[1] ~= '' then
  local after = tonumber(ARGV[1])
  if record[1] then
    if now - tonumber(record[5]) >= after then touch(KEYS[1], row and KEYS[2], record) end
  elseif row then
    local idle = tonumber(ARGV[2])
    if redis.call('PTTL', KEYS[2]) <= idle - after then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
  end
end
local age = record[7] and text(now - record[9]) or false
return {
  record[1], record[2] or false, record[3] or false, record[4] or false, record[5] or false, row, corrupt and 1 or 0,
  record[7] or false, record[8] or false, age,
}
`);

/**
 * KEYS record; ARGV presented generation, grace, 1 for soft. The rules of design and docs/refresh.md: the tip gives a new
 * tip, but a young one itself; its parent gives the tip within grace, and in its place a new one while it was never seen
 * in use; a generation beyond the tip is one that Redis lost; anything else is reuse, and ends the family.
 */
export const ROTATE = script(`${NOW}${RECORD}
local record = fields(KEYS[1])
if record[6] then return { 'ended' } end
if not record[1] or not record[7] then return { 'expired' } end
local given, grace, soft = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local tip, parent, made = tonumber(record[7]), tonumber(record[8]), tonumber(record[9])
local young = now - made < grace
local function answer(outcome, generation)
  return { outcome, record[1], record[2], record[3], record[4], record[5], text(generation) }
end
local function stand(generation, itsParent)
  redis.call('HSET', KEYS[1], 'g', text(generation), 'p', text(itsParent), 'm', text(now), 'u', 0)
  touch(KEYS[1], nil, record)
  return answer('renewed', generation)
end
local function stay()
  touch(KEYS[1], nil, record)
  return answer('same', tip)
end
if given > tip then
  if soft then return { 'declined' } end
  return stand(given + 1, given)
end
if given == tip then
  if young and tip > 0 then return stay() end
  return stand(tip + 1, tip)
end
if given == parent and young then return stay() end
if soft then return { 'declined' } end
if given == parent and record[10] == '0' then return stand(tip + 1, parent) end
entomb(KEYS[1], record, 'reused')
return answer('reused', tip)
`);

/** KEYS record; ARGV generation, voucher. */
export const SEEN = script(`
local record = redis.call('HMGET', KEYS[1], 'g', 'v')
if record[1] == ARGV[1] and record[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'u', 1) end
return 1
`);

/** KEYS record, row; ARGV absolute end. A login that is only being opened finds the tombstone and stays shut. */
export const END = script(`${NOW}${RECORD}
redis.call('DEL', KEYS[1], KEYS[2])
if tonumber(ARGV[1]) > now then entomb(KEYS[1], { false, false, ARGV[1] }, 'ended') end
return 1
`);

/** KEYS row; ARGV expected, row, life. */
export const UPDATE_ROW = script(`
local row = redis.pcall('GET', KEYS[1])
if not row then return { 'gone' } end
if type(row) == 'table' or row == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return { 'stored' }
end
return { 'conflict', row }
`);
