import { trouble } from "../../../../scripts/acceptance/trouble.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

// How a container refuses to start is in refusing.test.ts: these steps start the program of this checkout.
const startsOfTheCheckout = /not mounted|end the start/;

actOut(trouble, {
  open: () => ContainerStage.open(),
  without: ({ title }) => startsOfTheCheckout.test(title),
});
