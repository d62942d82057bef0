import { useId } from "react";
import type { SoundPreferences } from "../media/preferences";

export interface DeviceChoice {
  devices: MediaDeviceInfo[];
  selectedId: string | null;
  onSelect: (deviceId: string) => void;
}

export interface SoundSettingsProps {
  microphone: DeviceChoice;
  /** Null where the browser leaves the choice to the system. */
  speaker: DeviceChoice | null;
  sound: SoundPreferences;
  onSound: (sound: SoundPreferences) => void;
}

export function SoundSettings({ microphone, speaker, sound, onSound }: SoundSettingsProps) {
  return (
    <div className="panel sound" role="group" aria-label="Sound settings">
      <DeviceSelect label="Microphone" choice={microphone} />
      {speaker && <DeviceSelect label="Speaker" choice={speaker} />}
      <label className="field">
        <span>Volume</span>
        <input
          type="range"
          min={0}
          max={1}
          step={0.05}
          value={sound.volume}
          onChange={(event) => onSound({ ...sound, volume: event.target.valueAsNumber })}
        />
      </label>
      <label className="sound__check">
        <input
          type="checkbox"
          checked={sound.silent}
          onChange={(event) => onSound({ ...sound, silent: event.target.checked })}
        />
        <span>Mute the agent</span>
      </label>
    </div>
  );
}

function DeviceSelect({ label, choice }: { label: string; choice: DeviceChoice }) {
  const { devices, selectedId, onSelect } = choice;
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        value={selectedId ?? ""}
        disabled={devices.length === 0}
        onChange={(event) => onSelect(event.target.value)}
      >
        {devices.length === 0 && <option value="">None</option>}
        {devices.map((device, i) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || `${label} ${i + 1}`}
          </option>
        ))}
      </select>
    </div>
  );
}
