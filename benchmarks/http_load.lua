-- For wrk: sends `toggle` to one instance after the other, or reads them, and prints what happened as a line of JSON.
-- Arguments: <token> <instances> <events|reads>

local requests, at, count = {}, 0, 0

function init(args)
  local token, instances = args[1], tonumber(args[2])
  local headers = { ["authorization"] = "Bearer " .. token, ["content-type"] = "application/json" }
  for number = 0, instances - 1 do
    local path = "/machines/toggler/i/t" .. number
    if args[3] == "reads" then
      requests[number] = wrk.format("GET", path, headers)
    else
      requests[number] = wrk.format("POST", path .. "/events", headers, '{"event":"toggle"}')
    end
  end
  count = instances
end

function request()
  at = (at + 1) % count
  return requests[at]
end

function done(summary, latency, rest)
  local errors = summary.errors
  io.write(string.format(
    '\n{"events": %d, "seconds": %.6f, "errors": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
