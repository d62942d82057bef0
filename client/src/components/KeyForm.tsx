import { useState } from "react";

export interface KeyFormProps {
  action: string;
  onKey: (key: string) => void;
}

/** Asks for the key that lets into the service. */
export function KeyForm({ action, onKey }: KeyFormProps) {
  const [key, setKey] = useState("");
  return (
    <form
      className="key-form"
      onSubmit={(event) => {
        event.preventDefault();
        onKey(key.trim());
      }}
    >
      <label className="field">
        Access key
        <input
          type="password"
          autoComplete="current-password"
          autoFocus
          required
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
      </label>
      <button type="submit" className="button">
        {action}
      </button>
    </form>
  );
}
