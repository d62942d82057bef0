export { VoiceMode } from "./VoiceMode";
export type { EndedCall, VoiceModeProps } from "./VoiceMode";
