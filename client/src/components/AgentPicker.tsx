import { humanize } from "../session/labels";
import type { Agent } from "../session/types";

export interface AgentPickerProps {
  agents: Agent[];
  selected: string | null;
  onSelect: (name: string) => void;
}

export function AgentPicker({ agents, selected, onSelect }: AgentPickerProps) {
  return (
    <fieldset className="agents">
      <legend className="agents__legend">Who would you like to talk to?</legend>
      <div className="agents__list">
        {agents.map((agent) => (
          <label key={agent.name} className="agent">
            <input
              type="radio"
              name="agent"
              value={agent.name}
              checked={agent.name === selected}
              onChange={() => onSelect(agent.name)}
            />
            <span className="agent__text">
              <span className="agent__name">{humanize(agent.name)}</span>
              {agent.description && <span className="agent__description">{agent.description}</span>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
