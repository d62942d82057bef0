/** Builds `<VoiceMode>` for other apps: one module, and what it loads when it is wanted. */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  publicDir: false,
  plugins: [react()],
  build: {
    target: "es2022",
    outDir: "lib",
    lib: { entry: "src/embed/index.ts", formats: ["es"], fileName: "voice-mode" },
    rolldownOptions: { external: ["react", "react-dom", "react/jsx-runtime"] },
  },
});
