import { fileURLToPath } from "node:url";

const packages = fileURLToPath(new URL("../../../client/node_modules/", import.meta.url));

export default {
  resolve: { alias: { react: `${packages}react`, "react-dom": `${packages}react-dom` } },
  build: {
    emptyOutDir: true,
    rollupOptions: { input: fileURLToPath(new URL("page.html", import.meta.url)) },
  },
};
