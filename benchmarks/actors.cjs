// XState's side of actors.py: `node --expose-gc actors.cjs v4|v5 CHILDREN EVENTS` prints one line of JSON.
//
// A parent spawns the children in one assign, sends each of them EVENTS times INC and once ASK, and counts the replies.
// Processor time of the process, garbage collection included; bytes are those on the heap that the idle children add.

const [face, children, events] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

const names = Array.from({ length: children }, (_, index) => `c${index}`);

const sides = {
  v4() {
    const { createMachine, interpret, assign, spawn, sendParent, send } = require("xstate4");
    const counter = createMachine({
      predictableActionArguments: true,
      id: "counter",
      context: { count: 0 },
      initial: "on",
      states: {
        on: {
          on: {
            INC: { actions: assign({ count: (context) => context.count + 1 }) },
            ASK: { actions: sendParent((context) => ({ type: "REPLY", count: context.count })) },
          },
        },
      },
    });
    const parent = createMachine({
      predictableActionArguments: true,
      id: "parent",
      context: { refs: [], replies: 0, sum: 0 },
      initial: "on",
      states: {
        on: {
          on: {
            SPAWN: { actions: assign({ refs: () => names.map((name) => spawn(counter, name)) }) },
            REPLY: {
              actions: assign({
                replies: (context) => context.replies + 1,
                sum: (context, event) => context.sum + event.count,
              }),
            },
          },
        },
      },
    });
    const actor = interpret(parent).start();
    return {
      send: (event) => actor.send(event),
      refs: () => actor.getSnapshot().context.refs,
      context: () => actor.getSnapshot().context,
    };
  },
  v5() {
    const { createMachine, createActor, assign, sendParent } = require("xstate5");
    const counter = createMachine({
      id: "counter",
      context: { count: 0 },
      initial: "on",
      states: {
        on: {
          on: {
            INC: { actions: assign({ count: ({ context }) => context.count + 1 }) },
            ASK: { actions: sendParent(({ context }) => ({ type: "REPLY", count: context.count })) },
          },
        },
      },
    });
    const parent = createMachine({
      id: "parent",
      context: { refs: [], replies: 0, sum: 0 },
      initial: "on",
      states: {
        on: {
          on: {
            SPAWN: { actions: assign({ refs: ({ spawn }) => names.map((id) => spawn(counter, { id })) }) },
            REPLY: {
              actions: assign({
                replies: ({ context }) => context.replies + 1,
                sum: ({ context, event }) => context.sum + event.count,
              }),
            },
          },
        },
      },
    });
    const actor = createActor(parent).start();
    return {
      send: (event) => actor.send(event),
      refs: () => actor.getSnapshot().context.refs,
      context: () => actor.getSnapshot().context,
    };
  },
};

function heap() {
  global.gc();
  return process.memoryUsage().heapUsed;
}

const side = sides[face]();
const inc = { type: "INC" };
const ask = { type: "ASK" };
const before = heap();
let spent = process.cpuUsage();
side.send({ type: "SPAWN" });
const spawning = process.cpuUsage(spent);
const bytes = (heap() - before) / children;
spent = process.cpuUsage();
for (const ref of side.refs()) {
  for (let index = 0; index < events; index++) ref.send(inc);
  ref.send(ask);
}
const sending = process.cpuUsage(spent);
const { replies, sum } = side.context();
const seconds = (usage) => (usage.user + usage.system) / 1e6;
console.log(JSON.stringify({ spawning: seconds(spawning), sending: seconds(sending), bytes, replies, sum }));
process.exit(0);
