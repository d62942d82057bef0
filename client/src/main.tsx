import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Pages } from "./Pages";
import "./styles/tokens.css";
import "./styles/page.css";
import "./styles/base.css";
import "./styles/home.css";
import "./styles/frame.css";
import "./styles/voice.css";
import "./styles/transcript.css";
import "./styles/chat.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <Pages />
  </StrictMode>,
);
