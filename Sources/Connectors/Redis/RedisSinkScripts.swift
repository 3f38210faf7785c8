/// What the sink runs inside the server. Keys behind `base`, which is `<prefix>sluice:<pipeline>:<chain id>:`:
///
/// | key | holds |
/// |---|---|
/// | `epoch` | a word of the process that writes |
/// | `segments` | the blocks that are there: a line a segment, `<first> <last> <hash>` |
/// | `tables` | what was asked for, a line a table |
/// | `floor` | the block above which values can be put back |
/// | `undos`, `undo:<block>` | blocks that may still be orphaned, and of each the values that its rows took the place of, by key |
///
/// and `<prefix>sluice:owners`, a hash: whose a key, a stream or a template is. A value that was displaced stands as kind, seconds to live, name of the
/// number's column, and the value; `A` is none.
enum RedisSinkScripts {
    /// Arguments: base, owners, word of this process, `take` or `keep`, owner, tables, then all targets.
    /// Returns what stands in the way, or `ok`, segments, floor.
    static let open = """
        local base, owners, word, how, owner, tables = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
        local epoch = redis.call('GET', base .. 'epoch')
        if how == 'keep' and epoch and epoch ~= word then return {'fenced'} end
        local segments = redis.call('GET', base .. 'segments') or ''
        if segments ~= '' then
          local before = redis.call('GET', base .. 'tables')
          if before ~= tables then return {'tables', before or ''} end
        end
        for n = 7, #ARGV do
          local other = redis.call('HGET', owners, ARGV[n])
          if other and other ~= owner then return {'owner', ARGV[n], other} end
        end
        if segments == '' then
          local all = redis.call('HGETALL', owners)
          for n = 1, #all, 2 do
            if all[n + 1] == owner then redis.call('HDEL', owners, all[n]) end
          end
        end
        for n = 7, #ARGV do redis.call('HSET', owners, ARGV[n], owner) end
        redis.call('SET', base .. 'tables', tables)
        redis.call('SET', base .. 'epoch', word)
        return {'ok', segments, redis.call('GET', base .. 'floor') or '0'}
        """

    static let common = """
        local base = ARGV[1]
        local function older(a, b) return #a < #b or (#a == #b and a < b) end
        local function current(key, ttl, field)
          local kind = redis.call('TYPE', key).ok
          local head = ttl .. ':' .. field .. ':'
          if kind == 'string' then return 'J' .. head .. redis.call('GET', key) end
          if kind == 'hash' then return 'F' .. head .. cmsgpack.pack(redis.call('HGETALL', key)) end
          return 'A' .. head
        end
        local function parts(saved)
          local first = string.find(saved, ':', 1, true)
          local second = string.find(saved, ':', first + 1, true)
          return string.sub(saved, 1, 1), string.sub(saved, 2, first - 1), string.sub(saved, first + 1, second - 1), string.sub(saved, second + 1)
        end
        local function member(saved, name)
          local kind, _, field, value = parts(saved)
          if kind == 'J' then
            local head = '"' .. (name or field) .. '":'
            local at = string.find(value, head, 1, true)
            return at and string.match(value, '^%d+', at + #head)
          elseif kind == 'F' then
            local all = cmsgpack.unpack(value)
            for n = 1, #all, 2 do
              if all[n] == (name or field) then return all[n + 1] end
            end
          end
        end
        local function number(saved) return member(saved) end
        local function put(key, saved)
          local kind, ttl, _, value = parts(saved)
          redis.call('DEL', key)
          if kind == 'J' then redis.call('SET', key, value)
          elseif kind == 'F' then redis.call('HSET', key, unpack(cmsgpack.unpack(value))) end
          if kind ~= 'A' and ttl ~= '0' then redis.call('EXPIRE', key, ttl) end
        end
        local function undos()
          local all = redis.call('SMEMBERS', base .. 'undos')
          table.sort(all, older)
          return all
        end

        """

    /// Arguments: base, block, whether displaced values are kept (`1`), seconds to live or 0, name of the number's column, `J` or `F`, then
    /// for each row its key, how many parts the value has, and those.
    static let put =
        common + """
            local block, keeps, ttl, field, kind = ARGV[2], ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6]
            local own, n = base .. 'undo:' .. block, 7
            while n <= #ARGV do
              local key, count, value = ARGV[n], tonumber(ARGV[n + 1])
              if kind == 'J' then value = ARGV[n + 2]
              else
                local all = {}
                for m = 1, count do all[m] = ARGV[n + 1 + m] end
                value = cmsgpack.pack(all)
              end
              n = n + 2 + count
              local saved, new = current(key, ttl, field), kind .. ttl .. ':' .. field .. ':' .. value
              local held = number(saved)
              if held and older(block, held) then
                -- A newer block's value stays. Should that be orphaned, this one comes.
                for _, above in ipairs(undos()) do
                  local displaced = older(block, above) and redis.call('HGET', base .. 'undo:' .. above, key)
                  if displaced then
                    local before = number(displaced)
                    if not (before and older(block, before)) then
                      if keeps then
                        redis.call('HSETNX', own, key, displaced)
                        redis.call('SADD', base .. 'undos', block)
                      end
                      redis.call('HSET', base .. 'undo:' .. above, key, new)
                    end
                    break
                  end
                end
              else
                if keeps then
                  redis.call('HSETNX', own, key, saved)
                  redis.call('SADD', base .. 'undos', block)
                end
                put(key, new)
              end
            end
            return 1
            """

    /// Arguments: base, highest block that is final: what its rows and those below displaced is not needed any more.
    static let forget =
        common + """
            for _, block in ipairs(undos()) do
              if not older(ARGV[2], block) then
                redis.call('DEL', base .. 'undo:' .. block)
                redis.call('SREM', base .. 'undos', block)
              end
            end
            return 1
            """

    /// Arguments: base, first and last block that go, then the streams. Puts back what their rows displaced, the newest first, and takes their
    /// entries off.
    static let rollback =
        common + """
            local first, last = ARGV[2], ARGV[3]
            for n = 4, #ARGV do
              local stream = ARGV[n]
              local gone = 0
              repeat
                local found = redis.call('XRANGE', stream, first .. '-0', last .. '-18446744073709551615', 'COUNT', 500)
                for _, entry in ipairs(found) do gone = gone + redis.call('XDEL', stream, entry[1]) end
              until #found == 0
              -- Blocks of these numbers come again: the stream must take their ids.
              if gone > 0 then
                local top = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
                if #top == 0 then redis.call('DEL', stream) else redis.call('XSETID', stream, top[1][1]) end
              end
            end
            local all = undos()
            for place = #all, 1, -1 do
              local block = all[place]
              if not older(block, first) and not older(last, block) then
                local saved = redis.call('HGETALL', base .. 'undo:' .. block)
                for n = 1, #saved, 2 do
                  local key = saved[n]
                  local _, ttl, field = parts(saved[n + 1])
                  local held = number(current(key, ttl, field))
                  local above
                  if held and older(last, held) then
                    -- A block above keeps its value: what it displaced changes.
                    for m = place + 1, #all do
                      above = redis.call('HEXISTS', base .. 'undo:' .. all[m], key) == 1 and all[m]
                      if above then break end
                    end
                    if above then redis.call('HSET', base .. 'undo:' .. above, key, saved[n + 1]) end
                  else
                    put(key, saved[n + 1])
                  end
                end
                redis.call('DEL', base .. 'undo:' .. block)
                redis.call('SREM', base .. 'undos', block)
              end
            end
            return 1
            """
}
