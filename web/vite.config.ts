import { defineConfig } from "vite";

// React's API on preact: delete the alias to be back on React.
export default defineConfig({
  base: "/",
  resolve: {
    alias: {
      "react/jsx-runtime": "preact/jsx-runtime",
      "react-dom/client": "preact/compat/client",
      "react-dom": "preact/compat",
      react: "preact/compat",
    },
  },
  build: {
    outDir: "../src/earshot/api/dist",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      onwarn(warning, tell) {
        // "use client" marks in a library: there is no server rendering here.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") tell(warning);
      },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
