import { useLayoutEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import { createPortal } from "react-dom";

export interface ShadowIslandProps {
  /** A stylesheet, which counts inside alone. */
  css: string;
  children: ReactNode;
}

/** Fills the element around it, in a shadow tree: no style gets in, and none gets out. */
export function ShadowIsland({ css, children }: ShadowIslandProps) {
  const host = useRef<HTMLDivElement>(null);
  const [shadow, setShadow] = useState<ShadowRoot | null>(null);

  useLayoutEffect(() => {
    const element = host.current;
    if (!element) return;
    // An element has one for good: React mounts twice in its strict mode.
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    setShadow(root);
  }, [css]);

  return (
    <div ref={host} style={{ height: "100%" }}>
      {shadow && createPortal(children, shadow)}
    </div>
  );
}
