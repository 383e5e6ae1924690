-- SPDX-License-Identifier: Apache-2.0
-- Answers every request with what arrived, as JSON. The query asks for more:
-- pad=BYTES a longer answer, sleep=SECONDS a later one, status=CODE another one.

local function quote(text)
    return '"' .. tostring(text):gsub('[%c"\\\127-\255]', function(char)
        return string.format('\\u%04x', char:byte())
    end) .. '"'
end

local function headers(r)
    local list = {}
    for name, value in pairs(r:headers_in_table()) do
        list[#list + 1] = '[' .. quote(name) .. ',' .. quote(value) .. ']'
    end
    return '[' .. table.concat(list, ',') .. ']'
end

function handle(r)
    local ask = r:parseargs()
    if ask.sleep then r.usleep(tonumber(ask.sleep) * 1000000) end
    local body = r:requestbody() or ''
    local fields = {
        '"method":' .. quote(r.method),
        '"uri":' .. quote(r.unparsed_uri),
        '"remote_user":' .. (r.user and quote(r.user) or 'null'),
        '"headers":' .. headers(r),
        '"body_length":' .. #body,
        '"body_sha1":' .. quote(r:sha1(body)),
        '"connection":' .. r.subprocess_env.LAB_PORT,
        '"pad":' .. quote(string.rep('x', tonumber(ask.pad or 0))),
    }
    r.content_type = 'application/json'
    r.status = tonumber(ask.status or 200)
    r:write('{' .. table.concat(fields, ',') .. '}\n')
    return apache2.OK
end
