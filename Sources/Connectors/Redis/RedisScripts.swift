/// What runs inside the server, in one step each. Keys, behind the namespace:
///
/// | key | holds |
/// |---|---|
/// | `members:<pipeline>:<prefix>:<id>` | set of the members |
/// | `items:<pipeline>:<prefix>:<id>:<member>` | set of what a member has |
/// | `keys:<pipeline>` | set of `<prefix>:<id>` under which the pipeline keeps something |
/// | `versions` | hash: what the clock showed at the last change of a key |
/// | `clock`, `removed` | number of changes; what it was when a key was last removed |
/// | `done:<token>` | a change that was made, for as long as it may be sent again |
///
/// The parts of a key have `%` and `:` percent-encoded, so that no two keys are mixed up; members stand last, as they are.
enum RedisScripts {
    /// Arguments: namespace, token, operation, pipeline, `<prefix>:<id>` (of a merge the other pipeline), then what belongs to the
    /// operation; of an exchange how many entries go, then all entries, each as member, number of items, items. Returns how many rows changed.
    static let change = """
        local ns, token, op, pipeline, field = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
        local done = ns .. 'done:' .. token
        if redis.call('EXISTS', done) == 1 then return 0 end
        local steps, touched = 0, {}
        local function touch(p, f, count)
          if count > 0 then
            steps = steps + count
            touched[p .. ':' .. f] = {p, f}
          end
        end
        local function members(p, f) return ns .. 'members:' .. p .. ':' .. f end
        local function items(p, f, member) return ns .. 'items:' .. p .. ':' .. f .. ':' .. member end
        local function add(p, f, member) touch(p, f, redis.call('SADD', members(p, f), member)) end
        local function addItem(p, f, member, item) touch(p, f, redis.call('SADD', items(p, f, member), item)) end
        local function strip(p, f, member) touch(p, f, redis.call('UNLINK', items(p, f, member))) end
        local function drop(p, f, member)
          strip(p, f, member)
          touch(p, f, redis.call('SREM', members(p, f), member))
        end
        local function clear(p, f)
          for _, member in ipairs(redis.call('SMEMBERS', members(p, f))) do drop(p, f, member) end
        end
        local function fields(p) return redis.call('SMEMBERS', ns .. 'keys:' .. p) end

        if op == 'set' then
          local wanted = {}
          for n = 6, #ARGV do wanted[ARGV[n]] = true end
          for _, member in ipairs(redis.call('SMEMBERS', members(pipeline, field))) do
            if wanted[member] then strip(pipeline, field, member) else drop(pipeline, field, member) end
          end
        end
        if op == 'set' or op == 'insert' then
          for n = 6, #ARGV do add(pipeline, field, ARGV[n]) end
        elseif op == 'insert_under' then
          add(pipeline, field, ARGV[6])
          for n = 7, #ARGV do addItem(pipeline, field, ARGV[6], ARGV[n]) end
        elseif op == 'remove' then
          for n = 6, #ARGV do drop(pipeline, field, ARGV[n]) end
        elseif op == 'remove_under' then
          for n = 7, #ARGV do touch(pipeline, field, redis.call('SREM', items(pipeline, field, ARGV[6]), ARGV[n])) end
        elseif op == 'exchange' then
          local n = 7
          for place = 1, #ARGV do
            if n > #ARGV then break end
            local member, last = ARGV[n], n + 1 + tonumber(ARGV[n + 1])
            if place <= tonumber(ARGV[6]) then
              for m = n + 2, last do touch(pipeline, field, redis.call('SREM', items(pipeline, field, member), ARGV[m])) end
              if redis.call('EXISTS', items(pipeline, field, member)) == 0 then drop(pipeline, field, member) end
            else
              add(pipeline, field, member)
              for m = n + 2, last do addItem(pipeline, field, member, ARGV[m]) end
            end
            n = last + 1
          end
        elseif op == 'delete' then
          clear(pipeline, field)
        elseif op == 'delete_pipeline' then
          for _, f in ipairs(fields(pipeline)) do clear(pipeline, f) end
        elseif op == 'merge' and pipeline ~= field then
          for _, f in ipairs(fields(pipeline)) do
            for _, member in ipairs(redis.call('SMEMBERS', members(pipeline, f))) do
              add(field, f, member)
              for _, item in ipairs(redis.call('SMEMBERS', items(pipeline, f, member))) do addItem(field, f, member, item) end
            end
            clear(pipeline, f)
          end
        end

        if steps > 0 then
          local clock = redis.call('INCR', ns .. 'clock')
          for name, key in pairs(touched) do
            if redis.call('EXISTS', members(key[1], key[2])) == 1 then
              redis.call('HSET', ns .. 'versions', name, clock)
              redis.call('SADD', ns .. 'keys:' .. key[1], key[2])
            else
              redis.call('HDEL', ns .. 'versions', name)
              redis.call('SREM', ns .. 'keys:' .. key[1], key[2])
              redis.call('SET', ns .. 'removed', clock)
            end
          end
        end
        redis.call('SET', done, steps, 'EX', 3600)
        return steps
        """

    /// Arguments: namespace, `<pipeline>:<prefix>:<id>`. Returns the version as text.
    static let version = """
        return redis.call('HGET', ARGV[1] .. 'versions', ARGV[2]) or redis.call('GET', ARGV[1] .. 'removed') or '0'
        """

    /// Arguments: the same. Returns the version as text, then by turns a member and the list of its items.
    static let snapshot = """
        local out = {redis.call('HGET', ARGV[1] .. 'versions', ARGV[2]) or redis.call('GET', ARGV[1] .. 'removed') or '0'}
        for _, member in ipairs(redis.call('SMEMBERS', ARGV[1] .. 'members:' .. ARGV[2])) do
          out[#out + 1] = member
          out[#out + 1] = redis.call('SMEMBERS', ARGV[1] .. 'items:' .. ARGV[2] .. ':' .. member)
        end
        return out
        """
}
