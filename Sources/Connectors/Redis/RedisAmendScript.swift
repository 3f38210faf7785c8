/// What puts rows in the place of those at some places of a block, of tables of mode `latest`.
enum RedisAmendScript {
    /// Arguments: base, block, whether displaced values are kept (`1`), seconds to live or 0, name of the number's column, `J` or `F`, name of the
    /// column of places; then how many places, and those; how many keys their rows may have stood under, and those; then for each row its
    /// place, its key, how many parts the value has, and those.
    static let amend =
        RedisSinkScripts.common + """
            local block, keeps, ttl, field, kind, column = ARGV[2], ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6], ARGV[7]
            local own, n = base .. 'undo:' .. block, 8
            local function list(to)
              local last = n + tonumber(ARGV[n])
              for m = n + 1, last do to[ARGV[m]] = true end
              n = last + 1
            end
            local places, keys, rows = {}, {}, {}
            list(places)
            list(keys)
            for _, key in ipairs(redis.call('HKEYS', own)) do keys[key] = true end
            while n <= #ARGV do
              local place, key, count, value = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 2])
              if kind == 'J' then value = ARGV[n + 3]
              else
                local all = {}
                for m = 1, count do all[m] = ARGV[n + 2 + m] end
                value = cmsgpack.pack(all)
              end
              n = n + 3 + count
              rows[#rows + 1] = {place, key, kind .. ttl .. ':' .. field .. ':' .. value}
            end
            -- The first block above whose row displaced a value of the key, and that value.
            local function above(key)
              for _, other in ipairs(undos()) do
                local saved = older(block, other) and redis.call('HGET', base .. 'undo:' .. other, key)
                if saved then return base .. 'undo:' .. other, saved end
              end
            end
            local function goes(saved) return number(saved) == block and places[member(saved, column) or ''] end

            for key in pairs(keys) do
              local held = current(key, ttl, field)
              local before = redis.call('HGET', own, key)
              if goes(held) then
                put(key, before or ('A0:' .. field .. ':'))
                redis.call('HDEL', own, key)
              elseif number(held) and older(block, number(held)) then
                local undo, saved = above(key)
                if undo and goes(saved) then
                  redis.call('HSET', undo, key, before or ('A0:' .. field .. ':'))
                  redis.call('HDEL', own, key)
                end
              end
            end
            -- Of rows of one block the one of the highest place stays.
            local function stays(saved, place) return number(saved) == block and older(place, member(saved, column) or '') end
            for _, row in ipairs(rows) do
              local place, key, new = row[1], row[2], row[3]
              local held = current(key, ttl, field)
              local undo, saved
              if number(held) and older(block, number(held)) then undo, saved = above(key) else saved = held end
              if saved and not stays(saved, place) and not (undo and number(saved) and older(block, number(saved))) then
                if keeps and number(saved) ~= block then
                  redis.call('HSETNX', own, key, saved)
                  redis.call('SADD', base .. 'undos', block)
                end
                if undo then redis.call('HSET', undo, key, new) else put(key, new) end
              end
            end
            if redis.call('EXISTS', own) == 0 then redis.call('SREM', base .. 'undos', block) end
            return 1
            """

    /// Of mode `stream`. Arguments: stream, block, name of the column of places, then the places whose entries go.
    static let thin = """
        local places = {}
        for n = 4, #ARGV do places[ARGV[n]] = true end
        local found = redis.call('XRANGE', ARGV[1], ARGV[2] .. '-0', ARGV[2] .. '-18446744073709551615')
        for _, entry in ipairs(found) do
          local fields, place = entry[2], nil
          if #fields == 2 and fields[1] == 'row' then
            local name = '"' .. ARGV[3] .. '":'
            local at = string.find(fields[2], name, 1, true)
            place = at and string.match(fields[2], '^%d+', at + #name)
          else
            for n = 1, #fields, 2 do
              if fields[n] == ARGV[3] then place = fields[n + 1] end
            end
          end
          if place and places[place] then redis.call('XDEL', ARGV[1], entry[1]) end
        end
        return 1
        """
}
