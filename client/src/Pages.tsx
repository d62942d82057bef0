/** Which page is shown, by the part of the address behind "#": any server can serve them all. */
import { Suspense, lazy, useSyncExternalStore } from "react";
import type { ComponentType } from "react";
import { App } from "./App";

/** Code of a page is loaded when it is opened. */
const PAGES: Record<string, ComponentType> = {
  "#/operator": lazy(async () => ({
    default: (await import("./operator/OperatorPage")).OperatorPage,
  })),
};

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
