// The chat of docs/clients.md on a page.
import { createRoot } from "react-dom/client";
import { Chat } from "./chat";
import { load } from "./parley";

const id = new URLSearchParams(location.search).get("id")!;
createRoot(document.getElementById("root")!).render(<Chat id={id} loaded={await load(id)} />);
