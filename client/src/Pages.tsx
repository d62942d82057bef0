/** Which page is shown, by the part of the address behind "#": any server can serve them all. */
import { Suspense, lazy, useSyncExternalStore } from "react";
import type { ComponentType } from "react";
import { App } from "./App";

/** Code of a page is loaded when it is opened. */
const PAGES: Record<string, ComponentType> = {
  "#/calls": lazy(() => import("./calls/CallsPage")),
  "#/push-to-talk": protocolPage("PushToTalk"),
  "#/sandwich": protocolPage("Sandwich"),
  "#/realtime": protocolPage("Realtime"),
  "#/operator": lazy(async () => ({
    default: (await import("./operator/OperatorPage")).OperatorPage,
  })),
};

function protocolPage(name: "PushToTalk" | "Sandwich" | "Realtime"): ComponentType {
  return lazy(async () => ({ default: (await import("./protocols/pages"))[name] }));
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener("hashchange", onChange);
  return () => window.removeEventListener("hashchange", onChange);
}

export function Pages() {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  const [name = ""] = hash.split("?");
  const Page = PAGES[name] ?? App;
  return (
    <Suspense>
      <Page />
    </Suspense>
  );
}
