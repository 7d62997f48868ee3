import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { useEffect, useMemo } from "react";
import { Route, Switch } from "wouter";
import { ProblemError } from "./api/problems";
import { signIn } from "./api/client";
import { Shell } from "./app/Shell";
import { Stream } from "./live/stream";
import { StreamContext } from "./live/useLive";
import { Overview } from "./pages/overview";
import { Posts } from "./pages/posts";
import { Rules } from "./pages/rules";
import { Sources } from "./pages/sources";
import { applyTheme, theme } from "./state/prefs";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/parts.css";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      placeholderData: (before: unknown) => before,
      retry: (failures, error) => {
        const { status } = ProblemError.of(error);
        return failures < 3 && (status === 0 || status >= 500);
      },
    },
  },
});

function App() {
  const stream = useMemo(() => new Stream(signIn), []);
  useEffect(() => {
    stream.follow(["posts:all", "windows", "corrections", "gaps", "system"]);
    return () => stream.close();
  }, [stream]);
  return (
    <QueryClientProvider client={queries}>
      <StreamContext.Provider value={stream}>
        <Shell>
          <Switch>
            <Route path="/" component={Overview} />
            <Route path="/posts" component={Posts} />
            <Route path="/rules" component={Rules} />
            <Route path="/sources" component={Sources} />
            <Route>
              <h1>There is no such page</h1>
              <p>
                <a href="/">To the overview</a>
              </p>
            </Route>
          </Switch>
        </Shell>
      </StreamContext.Provider>
    </QueryClientProvider>
  );
}

applyTheme(theme());
createRoot(document.getElementById("app")!).render(<App />);
