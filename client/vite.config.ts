import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = "http://localhost:7860";

export default defineConfig({
  // The runner serves the build at "/", others may serve it from a folder.
  base: "./",
  plugins: [react()],
  build: { target: "es2022", chunkSizeWarningLimit: 800 },
  server: {
    proxy: {
      "/agents": server,
      "/start": server,
      "/sessions": server,
      "/api": server,
      "/voice": server,
      "/overview": server,
      "/drain": server,
      "/ws-client": { target: server, ws: true },
    },
  },
  test: {
    environment: "jsdom",
    setupFiles: ["./src/testSetup.ts"],
    restoreMocks: true,
  },
});
