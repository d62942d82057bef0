// The transcript of a call of ?turns=, told by the events of which a session is made.
import { createElement, useReducer } from "react";
import { createRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { Transcript } from "../../../client/src/components/Transcript";
import { initialState, reduce } from "../../../client/src/session/reducer";
import "../../../client/src/styles/tokens.css";
import "../../../client/src/styles/base.css";
import "../../../client/src/styles/transcript.css";

const START = Date.UTC(2026, 10, 22, 12);
const WORDS = "We are open from eight to six on every weekday but for the first of May, ".split(" ");
const TICK_MS = 120;

/** As many words as that, so that rows have different heights. */
const sentence = (count) => Array.from({ length: count }, (_, i) => WORDS[i % WORDS.length]).join(" ");

function* turn(number) {
  const at = START + number * 5000;
  yield { type: "user-started", at };
  yield { type: "user-transcript", text: `Question ${number}?`, final: true, at: at + 900 };
  if (number % 10 === 0) {
    const callId = `call-${number}`;
    const day = { day: "Sunday", note: sentence(number % 40) };
    yield { type: "tool-started", callId, name: "book_appointment", arguments: day, at: at + 1000 };
    yield { type: "tool-stopped", callId, outcome: "completed", result: "Booked.", at: at + 1500 };
  }
  const output = {
    text: `Answer ${number}: ${sentence(3 + ((number * 7) % 60))}`,
    segmentId: number,
    willBeSpoken: true,
    status: "new",
    accumulated: "",
  };
  yield { type: "bot-output", output, at: at + 2000 };
  if (number % 7 === 0) {
    yield { type: "bot-interrupted", at: at + 4000 };
  } else {
    yield { type: "bot-output", output: { ...output, status: "completed" }, at: at + 4500 };
    yield { type: "bot-stopped", at: at + 4500 };
  }
}

const turns = Number(new URLSearchParams(location.search).get("turns") ?? 0);
const call = [
  { type: "start", agent: "receptionist", at: START },
  { type: "connected" },
  { type: "bot-ready", at: START },
];
for (let number = 1; number <= turns / 2; number++) call.push(...turn(number));
const before = call.reduce(reduce, initialState);

let tell;

function Page() {
  const [state, dispatch] = useReducer(reduce, before);
  tell = dispatch;
  return createElement(Transcript, {
    entries: state.transcript,
    call: state,
    agentLabel: "Receptionist",
  });
}

createRoot(document.querySelector("#root")).render(createElement(Page));

/** Have the bot say word after word, and keep how long each takes to be on the page, in ms. */
window.speak = () => {
  const costs = [];
  const text = sentence(100_000);
  const output = { text, segmentId: 0, willBeSpoken: true, status: "in-progress" };
  let spoken = 0;
  setInterval(() => {
    spoken = text.indexOf(" ", spoken + 8);
    const accumulated = text.slice(0, spoken);
    const from = performance.now();
    flushSync(() => tell({ type: "bot-output", output: { ...output, accumulated }, at: Date.now() }));
    document.querySelector("[role=log]").getBoundingClientRect();
    costs.push(performance.now() - from);
  }, TICK_MS);
  return costs;
};

/** Scroll by so many px each frame for so many frames, and return how long each took, in ms. */
window.scrollLog = (element, by, frames) =>
  new Promise((resolve) => {
    const took = [];
    let last = null;
    const step = (now) => {
      if (last !== null) took.push(now - last);
      last = now;
      if (took.length === frames) return resolve(took);
      element.scrollTop += by;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
