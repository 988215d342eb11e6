"use strict";
// The unmodified clients of the contract against a running server. One check per test; the number is printed at the end.
// The server, a key with every scope and the org come from the environment.

const { test, after } = require("node:test");
const assert = require("node:assert/strict");
const { createHmac, createSign, generateKeyPairSync, randomUUID } = require("node:crypto");
const { createServer } = require("node:http");
const { gzipSync } = require("node:zlib");
const { setTimeout: delay } = require("node:timers/promises");

const { StateBackedClient, errors } = require("@statebacked/client");
const { signToken } = require("@statebacked/token");
const WebSocket = require("ws");

const { PERDURE_URL: apiHost, PERDURE_ORG: orgId, PERDURE_KEY_ID, PERDURE_KEY_SECRET } = process.env;
const KEY = { stateBackedKeyId: PERDURE_KEY_ID, stateBackedSecretKey: PERDURE_KEY_SECRET };
const PATIENCE_MS = 10_000;
const leaving = new AbortController();

after(() => leaving.abort());

function sign(claims, key = KEY, expires = { in: "1h" }) {
  return signToken(key, claims, { expires });
}

async function clientOf(claims, options = {}) {
  return new StateBackedClient(await sign(claims, options.key), { apiHost, WebSocket, ...options });
}

// One client that may do everything, and one with the rights of a web page.
const admin = clientOf({ sub: "admin" });

function code(version) {
  return `
from perdure import assign, create_machine

machine = create_machine(
    {
        "id": "counter",
        "initial": "idle",
        "context": {"public": {"count": 0}, "owner": None, "secret": "hidden"},
        "states": {
            "idle": {"tags": ["resting"], "on": {"INC": {"actions": "count"}, "GO": "busy", "END": "gone", "FAIL": {"cond": "fail", "target": "gone"}}},
            "busy": {"initial": "left", "states": {"left": {"on": {"TURN": "right"}}, "right": {}}, "on": {"BACK": "idle"}},
            "gone": {"type": "final"},
        },
    },
    actions={"count": assign({"public": lambda context, event: {"count": context["public"]["count"] + event.get("by", 1)}})},
    guards={"fail": lambda context: 1 / 0},
)
version = "${version}"


def allow_read(request):
    return request.auth_context.get("sub") != "stranger"


def allow_write(request):
    if request.auth_context.get("sub") == "stranger":
        return False
    if request.type == "initialization":
        return True
    print("event", request.event["type"], request.machine_instance_name)
    return True
`;
}

async function deploy(name, body = code("1"), more = {}) {
  const client = await admin;
  await client.machines.create(name);
  return client.machineVersions.create(name, { clientInfo: "v1", makeCurrent: true, code: body, ...more });
}

let counter;
function counterMachine() {
  counter ??= deploy("counter").then(() => "counter");
  return counter;
}

function within(promise, what) {
  const late = delay(PATIENCE_MS, undefined, { ref: false }).then(() => {
    throw new Error(`waited too long for ${what}`);
  });
  return Promise.race([promise, late]);
}

// Collects what a subscription says, and lets a test wait for one that fits.
function listener() {
  const heard = [];
  const failures = [];
  let wake = () => {};
  return {
    heard,
    failures,
    next: (state) => { heard.push(state); wake(); },
    error: (error) => { failures.push(error); wake(); },
    async until(fits, what) {
      while (!fits(heard, failures)) {
        await within(new Promise((resolve) => { wake = resolve; }), what);
      }
    },
  };
}

function refusal(kind, code) {
  return (error) => {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    if (code) assert.equal(error.code, code);
    return true;
  };
}

// -- machines and versions ------------------------------------------------------------------------------------------

test("a machine is created, found and listed", async () => {
  const client = await admin;
  assert.equal(await client.machines.create("empty"), undefined);
  const { machine } = await client.machines.get("empty");
  assert.deepEqual(machine.indexes, []);
  assert.equal(machine.currentVersion, undefined);
  const { machines } = await client.machines.list();
  assert.ok(machines.some(({ slug }) => slug === "empty"));
});

test("a machine that exists is a conflict", async () => {
  const client = await admin;
  await client.machines.create("twice");
  await assert.rejects(client.machines.create("twice"), refusal(errors.ConflictError, "invalid-state"));
});

test("a malformed name is the client's error", async () => {
  const client = await admin;
  await assert.rejects(client.machines.create("no spaces"), refusal(errors.ClientError, "invalid-parameter"));
});

test("an unknown machine is not found", async () => {
  const client = await admin;
  await assert.rejects(client.machines.get("unknown"), refusal(errors.NotFoundError));
});

test("a version is uploaded, finalized and made current", async () => {
  const client = await admin;
  const { machineVersionId } = await deploy("plain-upload");
  assert.match(machineVersionId, /^ver_[\w-]{22}$/);
  const { machine } = await client.machines.get("plain-upload");
  assert.equal(machine.currentVersion.id, machineVersionId);
  assert.equal(machine.currentVersion.clientInfo, "v1");
});

test("gzipped code is uploaded", async () => {
  const client = await admin;
  await client.machines.create("gzip-upload");
  const gzippedCode = gzipSync(code("1"));
  const { machineVersionId } = await client.machineVersions.create("gzip-upload", {
    clientInfo: "gz", makeCurrent: true, gzippedCode,
  });
  const { versions } = await client.machineVersions.list("gzip-upload");
  assert.deepEqual(versions.map(({ id }) => id), [machineVersionId]);
});

test("a version becomes current only when asked", async () => {
  const client = await admin;
  const { machineVersionId } = await deploy("two-versions");
  const second = await client.machineVersions.create("two-versions", { clientInfo: "v2", code: code("2") });
  assert.equal((await client.machines.get("two-versions")).machine.currentVersion.id, machineVersionId);
  const { state } = await client.machineInstances.create("two-versions", {
    slug: "second", machineVersionId: second.machineVersionId,
  });
  assert.equal(state, "idle");
  const { instances } = await client.machineInstances.list("two-versions");
  assert.deepEqual(instances.map(({ machineVersion }) => machineVersion.id), [second.machineVersionId]);
});

test("code that does not load is refused at the end", async () => {
  const client = await admin;
  await client.machines.create("broken");
  const version = { clientInfo: "v1", makeCurrent: true, code: "machine = (" };
  await assert.rejects(client.machineVersions.create("broken", version), refusal(errors.ClientError));
});

// -- instances ------------------------------------------------------------------------------------------------------

test("an instance is created with context over the machine's own", async () => {
  const client = await admin;
  const machine = await counterMachine();
  const created = await client.machineInstances.create(machine, { slug: "own-context", context: { owner: "ada" } });
  assert.equal(created.state, "idle");
  assert.deepEqual(created.states, ["idle"]);
  assert.deepEqual(created.tags, ["resting"]);
  assert.equal(created.done, false);
  assert.deepEqual(created.publicContext, { count: 0 });
  const whole = await client.machineInstances.admin.get(machine, "own-context");
  assert.deepEqual(whole.context, { public: { count: 0 }, owner: "ada", secret: "hidden" });
  assert.equal(whole.status, "running");
});

test("events are sent as objects and as strings, and ts grows", async () => {
  const client = await admin;
  const machine = await counterMachine();
  const first = await client.machineInstances.create(machine, { slug: "events" });
  const second = await client.machineInstances.sendEvent(machine, "events", { event: { type: "INC", by: 4 } });
  const third = await client.machineInstances.sendEvent(machine, "events", { event: "GO" });
  assert.deepEqual(second.publicContext, { count: 4 });
  assert.deepEqual(third.state, { busy: "left" });
  assert.deepEqual(third.states.toSorted?.() ?? [...third.states].sort(), ["busy", "busy.left"]);
  assert.ok(first.ts < second.ts && second.ts < third.ts);
  const read = await client.machineInstances.get(machine, "events");
  assert.deepEqual(read, third);
});

test("a final state is done, and an unhandled event changes nothing", async () => {
  const client = await admin;
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "final" });
  const same = await client.machineInstances.sendEvent(machine, "final", { event: "NOTHING" });
  assert.equal(same.state, "idle");
  const end = await client.machineInstances.sendEvent(machine, "final", { event: "END" });
  assert.equal(end.done, true);
});

test("a machine that raises is an error, and the instance is as before", async () => {
  const client = await admin;
  const machine = await counterMachine();
  const before = await client.machineInstances.create(machine, { slug: "raises" });
  await assert.rejects(client.machineInstances.sendEvent(machine, "raises", { event: "FAIL" }), errors.ApiError);
  assert.deepEqual(await client.machineInstances.get(machine, "raises"), before);
});

test("an instance that exists is a conflict, an unknown one not found", async () => {
  const client = await admin;
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "once" });
  await assert.rejects(client.machineInstances.create(machine, { slug: "once" }), refusal(errors.ConflictError));
  await assert.rejects(client.machineInstances.get(machine, "never"), refusal(errors.NotFoundError));
});

test("of ten that get or create at once one creates and all get it", async () => {
  const machine = await counterMachine();
  const clients = await Promise.all(Array.from({ length: 10 }, () => clientOf({ sub: "racer" })));
  const states = await Promise.all(
    clients.map((client) => client.machineInstances.getOrCreate(machine, "raced", () => ({ context: { owner: "r" } }))),
  );
  assert.deepEqual(new Set(states.map(({ ts }) => ts)).size, 1);
  const client = await admin;
  const { transitions } = await client.machineInstances.listTransitions(machine, "raced");
  assert.equal(transitions.length, 1);
});

test("transitions are listed oldest first", async () => {
  const client = await admin;
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "history" });
  await client.machineInstances.sendEvent(machine, "history", { event: { type: "INC", by: 2 } });
  const { transitions } = await client.machineInstances.listTransitions(machine, "history");
  assert.deepEqual(transitions.map(({ event }) => event), [{ type: "xstate.init" }, { type: "INC", by: 2 }]);
  assert.ok(!Number.isNaN(Date.parse(transitions[0].createdAt)));
});

test("a list is read page by page until there is no cursor", async () => {
  const client = await admin;
  const machine = await deploy("many").then(() => "many");
  const names = Array.from({ length: 120 }, (_, number) => `i${number}`);
  for (const slug of names) await client.machineInstances.create(machine, { slug });
  const found = [];
  let cursor;
  do {
    const page = await client.machineInstances.list(machine, { cursor });
    found.push(...page.instances.map(({ slug }) => slug));
    cursor = page.cursor;
  } while (cursor);
  assert.deepEqual(found, names);
});

test("a paused instance refuses events and can be read and resumed", async () => {
  const client = await admin;
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "paused" });
  await client.machineInstances.dangerously.setStatus(machine, "paused", { status: "paused" });
  await assert.rejects(
    client.machineInstances.sendEvent(machine, "paused", { event: "INC" }), refusal(errors.ConflictError, "invalid-state"),
  );
  assert.equal((await client.machineInstances.get(machine, "paused")).state, "idle");
  await client.machineInstances.dangerously.setStatus(machine, "paused", { status: "running" });
  const { publicContext } = await client.machineInstances.sendEvent(machine, "paused", { event: "INC" });
  assert.deepEqual(publicContext, { count: 1 });
});

// -- authorisation --------------------------------------------------------------------------------------------------

test("an authorizer's refusal has its own class", async () => {
  const machine = await counterMachine();
  const client = await admin;
  await client.machineInstances.create(machine, { slug: "guarded" });
  const stranger = await clientOf({ sub: "stranger" });
  const refused = refusal(errors.RejectedByMachineAuthorizerError);
  await assert.rejects(stranger.machineInstances.get(machine, "guarded"), refused);
  await assert.rejects(stranger.machineInstances.create(machine, { slug: "strange" }), refused);
  await assert.rejects(stranger.machineInstances.sendEvent(machine, "guarded", { event: "INC" }), refused);
});

test("a missing scope has its own class", async () => {
  const client = await admin;
  const made = await client.keys.create({ name: "web", use: "production" });
  const web = await clientOf({ sub: "web" }, { key: { stateBackedKeyId: made.id, stateBackedSecretKey: made.key } });
  await assert.rejects(web.machines.list(), refusal(errors.MissingScopeError));
  await assert.rejects(web.keys.list(), refusal(errors.MissingScopeError));
});

test("who may create keys may act as somebody else, and others may not", async () => {
  const machine = await counterMachine();
  const client = await admin;
  await client.machineInstances.create(machine, { slug: "acted" });
  const acting = await clientOf({ sub: "admin" }, { actAs: { sub: "stranger", name: "Zoë" } });
  await assert.rejects(
    acting.machineInstances.get(machine, "acted"), refusal(errors.RejectedByMachineAuthorizerError),
  );
  const made = await client.keys.create({ name: "web", use: "production" });
  const key = { stateBackedKeyId: made.id, stateBackedSecretKey: made.key };
  const web = await clientOf({ sub: "web" }, { key, actAs: { sub: "admin" } });
  await assert.rejects(web.machineInstances.get(machine, "acted"), refusal(errors.MissingScopeError));
});

test("the org header has to be the key's own org", async () => {
  const own = await clientOf({ sub: "admin" }, { orgId });
  assert.ok((await own.machines.list()).machines);
  const other = await clientOf({ sub: "admin" }, { orgId: "org_other" });
  await assert.rejects(other.machines.list(), refusal(errors.MissingOrgError));
});

test("a bad token is refused", async () => {
  for (const token of ["x", "a.b.c", await sign({}, { ...KEY, stateBackedSecretKey: "sbsec_wrong" })]) {
    const client = new StateBackedClient(token, { apiHost });
    await assert.rejects(client.machines.list(), errors.ApiError);
  }
});

test("a token function is asked again when its token has expired", async () => {
  let asked = 0;
  const client = new StateBackedClient({
    token: () => { asked += 1; return sign({ sub: "admin" }, KEY, asked === 1 ? { at: Math.floor(Date.now() / 1000) - 3 } : { in: "1h" }); },
  }, { apiHost });
  await client.machines.list();
  await client.machines.list();
  assert.equal(asked, 2);
});

// -- live views -----------------------------------------------------------------------------------------------------

test("a subscriber gets the current state at once and every change after", async () => {
  const client = await clientOf({ sub: "watcher" });
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "watched" });
  const view = listener();
  const stop = client.machineInstances.subscribe(machine, "watched", view.next, view.error, leaving.signal);
  await view.until((heard) => heard.length >= 1, "the first state");
  assert.equal(view.heard[0].state, "idle");
  assert.deepEqual(view.heard[0].publicContext, { count: 0 });
  for (let number = 1; number <= 3; number += 1) {
    await client.machineInstances.sendEvent(machine, "watched", { event: "INC" });
    await view.until((heard) => heard.at(-1).publicContext.count === number, `change ${number}`);
  }
  const stamps = view.heard.map(({ ts }) => ts);
  assert.deepEqual(stamps, [...stamps].sort((a, b) => a - b));
  assert.equal(new Set(stamps).size, stamps.length);
  stop();
});

test("ending one of two subscriptions leaves the other", async () => {
  const client = await clientOf({ sub: "watcher" });
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "two-views" });
  const first = listener();
  const second = listener();
  const stopFirst = client.machineInstances.subscribe(machine, "two-views", first.next, first.error, leaving.signal);
  client.machineInstances.subscribe(machine, "two-views", second.next, second.error, leaving.signal);
  await first.until((heard) => heard.length >= 1, "the first view");
  await second.until((heard) => heard.length >= 1, "the second view");
  stopFirst();
  await client.machineInstances.sendEvent(machine, "two-views", { event: "INC" });
  await second.until((heard) => heard.at(-1).publicContext.count === 1, "the change");
});

test("a refused subscription reports its own class of error", async () => {
  const machine = await counterMachine();
  await (await admin).machineInstances.create(machine, { slug: "unseen" });
  const stranger = await clientOf({ sub: "stranger" });
  const view = listener();
  stranger.machineInstances.subscribe(machine, "unseen", view.next, view.error, leaving.signal);
  await view.until((heard, failures) => failures.length >= 1, "the refusal");
  assert.ok(view.failures[0] instanceof errors.RejectedByMachineAuthorizerError);
  assert.deepEqual(view.heard, []);
});

test("a subscription to nothing reports that it is not found", async () => {
  const client = await clientOf({ sub: "watcher" });
  const view = listener();
  client.machineInstances.subscribe(await counterMachine(), "nowhere", view.next, view.error, leaving.signal);
  await view.until((heard, failures) => failures.length >= 1, "the refusal");
  assert.ok(view.failures[0] instanceof errors.NotFoundError);
});

test("a bad token is refused at the upgrade", async () => {
  const url = `${apiHost.replace("http", "ws")}/rt?token=bad`;
  const status = await within(new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.on("unexpected-response", (_, response) => { resolve(response.statusCode); socket.terminate(); });
    socket.on("open", () => resolve("open"));
    socket.on("error", () => {});
  }), "the refusal");
  assert.ok([401, 403].includes(status), `it answered ${status}`);
});

test("an established connection that breaks is made again and its subscriptions live on", async () => {
  const sockets = [];
  class Counted extends WebSocket {
    constructor(...given) { super(...given); sockets.push(this); }
  }
  const client = await clientOf({ sub: "watcher" }, { WebSocket: Counted });
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "broken-off" });
  const view = listener();
  client.machineInstances.subscribe(machine, "broken-off", view.next, view.error, leaving.signal);
  await view.until((heard) => heard.length >= 1, "the first state");
  sockets[0].terminate();
  await client.machineInstances.sendEvent(machine, "broken-off", { event: "INC" });
  await view.until((heard) => heard.at(-1).publicContext.count === 1, "the state after the break");
  assert.equal(sockets.length, 2);
});

// -- actors ---------------------------------------------------------------------------------------------------------

test("an actor is created, sends, matches and follows", async () => {
  const client = await clientOf({ sub: "actor" });
  const machine = await counterMachine();
  const actor = await client.machineInstances.getOrCreateActor(machine, "acting", { context: { owner: "me" } }, leaving.signal);
  assert.equal(actor.id, `${machine}/acting`);
  assert.ok(actor.getSnapshot().matches("idle"));
  assert.ok(actor.getSnapshot().hasTag("resting"));
  const view = listener();
  actor.subscribe(view.next, view.error);
  actor.send({ type: "GO" });
  assert.equal(actor.inFlightEvents.length, 1);
  await view.until(() => actor.getSnapshot().matches("busy.left"), "the actor to be busy");
  assert.ok(actor.getSnapshot().matches({ busy: "left" }));
  assert.deepEqual(actor.getSnapshot().toStrings().sort(), ["busy", "busy.left"]);
  actor.send({ type: "BACK" });
  await view.until(() => actor.getSnapshot().matches("idle"), "the actor to be idle");
  assert.deepEqual(actor.inFlightEvents, []);
});

test("an actor's failed event is reported with the event", async () => {
  const client = await clientOf({ sub: "actor" });
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "failing-actor" });
  const actor = await client.machineInstances.getActor(machine, "failing-actor", leaving.signal);
  const view = listener();
  actor.subscribe(view.next, view.error);
  actor.send({ type: "FAIL" });
  await view.until((heard, failures) => failures.length >= 1, "the failure");
  assert.ok(view.failures[0] instanceof errors.ActorEventSendingError);
  assert.deepEqual(view.failures[0].event, { type: "FAIL" });
});

test("two actors of one instance see each other's events", async () => {
  const machine = await counterMachine();
  const [one, two] = await Promise.all(["one", "two"].map(async (sub) => {
    const client = await clientOf({ sub });
    return client.machineInstances.getOrCreateActor(machine, "shared", {}, leaving.signal);
  }));
  const view = listener();
  two.subscribe(view.next, view.error);
  one.send({ type: "INC", by: 7 });
  await view.until(() => two.getSnapshot().context.public.count === 7, "the other's event");
});

// -- tokens ---------------------------------------------------------------------------------------------------------

const base64url = (data) => Buffer.from(data).toString("base64url");

function jwt(claims, header, signature) {
  const signed = `${base64url(JSON.stringify({ typ: "JWT", ...header }))}.${base64url(JSON.stringify(claims))}`;
  return `${signed}.${base64url(signature(signed))}`;
}

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

test("a token of an identity provider with a shared secret is exchanged", async () => {
  const client = await admin;
  const secret = randomUUID();
  const aud = "https://shop.test/";
  await client.identityProviders.upsert({
    aud, algs: ["HS256"], key: base64url(secret), mapping: { "sub.$": "$.sub", provider: "shop" },
  });
  const { id: keyId } = await client.keys.create({ name: "shop", use: "production" });
  await client.tokenProviders.upsert({ service: "shop", keyId, mapping: { "sub.$": "$.sub", "from.$": "$.provider" } });
  const subject = jwt({ aud, sub: "carol", exp: inAnHour() }, { alg: "HS256" },
    (signed) => createHmac("sha256", secret).update(signed).digest());
  const carol = new StateBackedClient(
    { identityProviderToken: subject, tokenProviderService: "shop", orgId }, { apiHost, WebSocket },
  );
  const machine = await counterMachine();
  const { state } = await carol.machineInstances.getOrCreate(machine, "of-carol", {});
  assert.equal(state, "idle");
  await assert.rejects(carol.machines.list(), refusal(errors.MissingScopeError));
  const token = await carol.tokens.exchange({ orgId, service: "shop", token: subject });
  assert.deepEqual(JSON.parse(Buffer.from(token.split(".")[1], "base64url")).act, { sub: "carol", from: "shop" });
});

test("a token of an identity provider with a key set is exchanged, also after the keys changed", async () => {
  const pairs = ["one", "two"].map((kid) => ({ kid, ...generateKeyPairSync("rsa", { modulusLength: 2048 }) }));
  let published = [pairs[0]];
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({
      keys: published.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" })),
    }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const client = await admin;
    const iss = "https://keys.test/";
    await client.identityProviders.upsert({
      iss, algs: ["RS256"], jwksUrl: `http://127.0.0.1:${server.address().port}/jwks`, mapping: { "sub.$": "$.sub" },
    });
    const { id: keyId } = await client.keys.create({ name: "keys", use: "production" });
    await client.tokenProviders.upsert({ service: "keys", keyId, mapping: { "sub.$": "$.sub" } });
    const subject = ({ kid, privateKey }) => jwt({ iss, sub: "dave", exp: inAnHour() }, { alg: "RS256", kid },
      (signed) => createSign("RSA-SHA256").update(signed).sign(privateKey));
    assert.ok(await client.tokens.exchange({ orgId, service: "keys", token: subject(pairs[0]) }));
    const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const forged = subject({ kid: "one", privateKey: stranger.privateKey });
    await assert.rejects(client.tokens.exchange({ orgId, service: "keys", token: forged }), errors.UnauthorizedError);
    published = pairs;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("providers are listed without keys and deleted with immediate effect", async () => {
  const client = await admin;
  const aud = "https://gone.test/";
  const secret = randomUUID();
  await client.identityProviders.upsert({ aud, algs: ["HS256"], key: base64url(secret), mapping: { "sub.$": "$.sub" } });
  const { id: keyId } = await client.keys.create({ name: "gone", use: "production" });
  await client.tokenProviders.upsert({ service: "gone", keyId, mapping: {} });
  const { idps } = await client.identityProviders.list();
  const listed = idps.find((idp) => idp.aud === aud);
  assert.deepEqual(listed, { aud, algs: ["HS256"], mapping: { "sub.$": "$.sub" } });
  const { tokenProviders } = await client.tokenProviders.list();
  assert.deepEqual(tokenProviders.find(({ service }) => service === "gone"), { service: "gone", keyId, mapping: {} });
  const subject = jwt({ aud, sub: "erin", exp: inAnHour() }, { alg: "HS256" },
    (signed) => createHmac("sha256", secret).update(signed).digest());
  assert.ok(await client.tokens.exchange({ orgId, service: "gone", token: subject }));
  assert.equal(await client.identityProviders.delete({ aud }), undefined);
  await assert.rejects(client.tokens.exchange({ orgId, service: "gone", token: subject }), errors.UnauthorizedError);
  assert.equal(await client.tokenProviders.delete("gone"), undefined);
});

test("an anonymous session may do what its machine allows and no more", async () => {
  const machine = await counterMachine();
  const anonymous = new StateBackedClient({ anonymous: { orgId } }, { apiHost, WebSocket });
  const actor = await anonymous.machineInstances.getOrCreateActor(machine, "of-nobody", {}, leaving.signal);
  const view = listener();
  actor.subscribe(view.next, view.error);
  actor.send({ type: "INC" });
  await view.until(() => actor.getSnapshot().context.public.count === 1, "the anonymous event");
  await assert.rejects(anonymous.machines.list(), refusal(errors.MissingScopeError));
});

// -- administration -------------------------------------------------------------------------------------------------

test("keys are created with scopes, listed without secrets and deleted", async () => {
  const client = await admin;
  const made = await client.keys.create({ name: "reader", scopes: ["machines.read"] });
  const { keys } = await client.keys.list();
  const listed = keys.find(({ id }) => id === made.id);
  assert.deepEqual(listed.scopes, ["machines.read"]);
  assert.equal(listed.key, undefined);
  const reader = await clientOf({}, { key: { stateBackedKeyId: made.id, stateBackedSecretKey: made.key } });
  assert.ok((await reader.machines.list()).machines);
  assert.equal(await client.keys.delete(made.id), undefined);
  await assert.rejects(reader.machines.list(), errors.ApiError);
});

test("orgs are listed and created, each apart from the others", async () => {
  const client = await admin;
  const { orgs } = await client.orgs.list();
  assert.deepEqual(orgs.map(({ id }) => id), [orgId]);
  const made = await client.orgs.create({ name: "Second" });
  assert.match(made.id, /^org_[\w-]{22}$/);
  const key = { stateBackedKeyId: made.keyId, stateBackedSecretKey: made.key };
  const second = await clientOf({ sub: "admin" }, { key, orgId: made.id });
  assert.deepEqual((await second.machines.list()).machines, []);
});

test("billing answers that there is none", async () => {
  const { url } = await (await admin).billing.get();
  assert.equal(typeof url, "string");
});

test("an instance is deleted with its proof", async () => {
  const client = await admin;
  const machine = await counterMachine();
  await client.machineInstances.create(machine, { slug: "doomed" });
  await assert.rejects(
    client.machineInstances.dangerously.delete(machine, "doomed", {}),
    (error) => error instanceof errors.ClientError && error.code === "invalid-parameter",
  );
  const confirmed = { dangerDataWillBeDeletedForever: true };
  assert.equal(await client.machineInstances.dangerously.delete(machine, "doomed", confirmed), undefined);
  await assert.rejects(client.machineInstances.get(machine, "doomed"), errors.NotFoundError);
});

test("a machine is deleted once it has no instances", async () => {
  const client = await admin;
  const confirmed = { dangerDataWillBeDeletedForever: true };
  const machine = await deploy("mortal").then(() => "mortal");
  await client.machineInstances.create(machine, { slug: "last" });
  await assert.rejects(
    client.machines.dangerously.delete(machine, confirmed), refusal(errors.ConflictError, "invalid-state"),
  );
  await client.machineInstances.dangerously.delete(machine, "last", confirmed);
  assert.equal(await client.machines.dangerously.delete(machine, confirmed), undefined);
  await assert.rejects(client.machines.get(machine), errors.NotFoundError);
});

// -- migrations and indexes -----------------------------------------------------------------------------------------

test("an instance moves to another version at its next event", async () => {
  const client = await admin;
  const first = await deploy("moving");
  await client.machineInstances.create("moving", { slug: "mover" });
  const second = await client.machineVersions.create("moving", { clientInfo: "v2", makeCurrent: true, code: code("2") });
  await assert.rejects(
    client.machineInstances.admin.updateDesiredVersion("moving", "mover", { targetMachineVersionId: second.machineVersionId }),
    refusal(errors.NoMigrationPathError),
  );
  const { machineVersionMigrationId } = await client.machineVersionMigrations.create("moving", {
    fromMachineVersionId: first.machineVersionId,
    toMachineVersionId: second.machineVersionId,
    code: "def upgrade_state(path, context):\n    return path\n\n\n"
      + "def upgrade_context(old_paths, new_paths, context):\n    return {**context, 'public': {'count': 40}}\n",
  });
  assert.ok(machineVersionMigrationId);
  assert.equal(await client.machineInstances.admin.updateDesiredVersion("moving", "mover", {
    targetMachineVersionId: second.machineVersionId,
  }), undefined);
  const waiting = await client.machineInstances.admin.get("moving", "mover");
  assert.equal(waiting.desiredMachineVersion.id, second.machineVersionId);
  assert.equal(waiting.machineVersion.id, first.machineVersionId);
  const { publicContext } = await client.machineInstances.sendEvent("moving", "mover", { event: { type: "INC", by: 2 } });
  assert.deepEqual(publicContext, { count: 42 });
  const moved = await client.machineInstances.admin.get("moving", "mover");
  assert.equal(moved.machineVersion.id, second.machineVersionId);
  const { transitions } = await client.machineInstances.listTransitions("moving", "mover");
  assert.deepEqual(transitions.map(({ event }) => event.type), ["xstate.init", "statebacked.upgrade", "INC"]);
});

test("gzipped migrations are uploaded", async () => {
  const client = await admin;
  const first = await deploy("moving-gzip");
  const second = await client.machineVersions.create("moving-gzip", { clientInfo: "v2", code: code("2") });
  const made = await client.machineVersionMigrations.create("moving-gzip", {
    fromMachineVersionId: first.machineVersionId,
    toMachineVersionId: second.machineVersionId,
    gzippedCode: gzipSync("def upgrade_state(path, context):\n    return path\n\n\ndef upgrade_context(old, new, context):\n    return context\n"),
  });
  assert.ok(made.machineVersionMigrationId);
});

test("a base URL with a slash at its end works", async () => {
  const client = new StateBackedClient(await sign({ sub: "admin" }), { apiHost: `${apiHost}/` });
  assert.ok((await client.machines.list()).machines);
});

// -- logs -----------------------------------------------------------------------------------------------------------

// Counts the requests for logs, since a wrong spelling of a time makes the client ask without a pause.
function countingClient() {
  const asked = [];
  const counting = (url, options) => {
    if (String(url).includes("/logs")) asked.push(String(url));
    return fetch(url, options);
  };
  return clientOf({ sub: "admin" }, { fetch: counting }).then((client) => ({ client, asked }));
}

test("what a machine prints is retrieved", async () => {
  const client = await admin;
  const from = new Date(Date.now() - 5);
  const { machineVersionId } = await deploy("talker");
  await client.machineInstances.create("talker", { slug: "one" });
  await client.machineInstances.sendEvent("talker", "one", { event: { type: "INC" } });
  await delay(5);
  const { logs, maxTimestamp } = await client.logs.retrieve(from, { machineName: "talker" });
  const [entry] = logs;
  assert.equal(logs.length, 1);
  assert.deepEqual({ ...entry, timestamp: undefined }, {
    timestamp: undefined, orgId, machineName: "talker", instanceName: "one", machineVersionId,
    outputType: "stdout", log: "event INC one\n",
  });
  assert.equal(new Date(maxTimestamp).getTime(), new Date(entry.timestamp).getTime() + 1);
  const again = await client.logs.retrieve(new Date(maxTimestamp), { machineName: "talker" });
  assert.deepEqual(again, { logs: [], maxTimestamp });
});

test("watching logs with an end ends", async () => {
  const client = await admin;
  const from = new Date(Date.now() - 5);
  await deploy("ending");
  await client.machineInstances.create("ending", { slug: "one" });
  for (const type of ["INC", "INC", "GO"]) {
    await client.machineInstances.sendEvent("ending", "one", { event: { type } });
    await delay(3);
  }
  const lines = [];
  const watching = (async () => {
    for await (const { log } of client.logs.watch(from, { machineName: "ending", to: new Date() })) lines.push(log);
  })();
  await within(watching, "the end of the logs");
  assert.deepEqual(lines.join("").trim().split("\n"), ["event INC one", "event INC one", "event GO one"]);
});

test("watching logs without an end asks with pauses and ends when aborted", async (t) => {
  // The client's pause of 30 s outlives its abort, and must not keep this process from ending.
  const real = globalThis.setTimeout;
  t.after(() => { globalThis.setTimeout = real; });
  globalThis.setTimeout = (call, ms, ...more) => {
    const timer = real(call, ms, ...more);
    return ms === 30_000 ? timer.unref() : timer;
  };
  const { client, asked } = await countingClient();
  const from = new Date();
  await deploy("endless");
  await client.machineInstances.create("endless", { slug: "one" });
  await client.machineInstances.sendEvent("endless", "one", { event: { type: "INC" } });
  await delay(5);
  const stopping = new AbortController();
  const lines = [];
  const watching = (async () => {
    for await (const { log } of client.logs.watch(from, { machineName: "endless" }, stopping.signal)) lines.push(log);
  })();
  await delay(700);
  stopping.abort();
  await within(watching, "the end of the logs");
  assert.deepEqual(lines, ["event INC one\n"]);
  // One that finds the entry, one that finds nothing more and pauses, and one that the abort calls off.
  assert.ok(asked.length <= 3, `${asked.length} requests`);
});
