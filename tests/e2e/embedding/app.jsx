// An app of others, with a call to an agent in a corner of its page.
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { VoiceMode } from "parlante-client";

const serverUrl = new URLSearchParams(location.search).get("service");

function App() {
  const [calls, setCalls] = useState(false);
  const [call, setCall] = useState(null);
  return (
    <>
      <button onClick={() => setCalls(!calls)}>{calls ? "Close" : "Ask us"}</button>
      <input aria-label="Search" />
      {calls && (
        <div className="widget">
          <VoiceMode
            serverUrl={serverUrl}
            agent="receptionist"
            agentLabel="Front desk"
            onEnd={(ended) => {
              setCall(ended);
              setCalls(false);
            }}
          />
        </div>
      )}
      {call && <output>{JSON.stringify(call)}</output>}
    </>
  );
}

createRoot(document.getElementById("app")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
