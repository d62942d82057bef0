/** Getting a microphone from the browser, with errors that say what is wrong. */

export type MicrophoneProblem = "denied" | "missing" | "busy" | "insecure" | "unknown";

export class MicrophoneError extends Error {
  override name = "MicrophoneError";

  constructor(
    readonly problem: MicrophoneProblem,
    options?: ErrorOptions,
  ) {
    super(`microphone: ${problem}`, options);
  }
}

/** Name of the DOMException that getUserMedia rejects with -> what is wrong. */
const PROBLEMS: Record<string, MicrophoneProblem> = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

export function classifyMicrophoneError(error: unknown): MicrophoneError {
  if (error instanceof MicrophoneError) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  return new MicrophoneError(PROBLEMS[name] ?? "unknown", { cause: error });
}

/** The browser's media devices; without https (or localhost) there are none. */
export function mediaDevices(): MediaDevices | undefined {
  return (navigator as { mediaDevices?: MediaDevices }).mediaDevices;
}

function constraints(deviceId: string | null): MediaStreamConstraints {
  return {
    audio: {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      channelCount: 1,
      ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
    },
  };
}

/**
 * Open a microphone. The caller stops the track.
 *
 * @param deviceId the wanted device; null, or one that is gone, gets the default
 * @throws MicrophoneError
 */
export async function openMicrophone(deviceId: string | null): Promise<MediaStreamTrack> {
  const devices = mediaDevices();
  if (!devices) throw new MicrophoneError("insecure");
  try {
    const stream = await devices.getUserMedia(constraints(deviceId));
    const [track] = stream.getAudioTracks();
    if (!track) throw new MicrophoneError("missing");
    return track;
  } catch (error) {
    const problem = classifyMicrophoneError(error);
    if (deviceId && problem.problem === "missing") return openMicrophone(null);
    throw problem;
  }
}
