import { trouble } from "../../../scripts/acceptance/trouble.ts";
import { actOut } from "./act-out.ts";

actOut(trouble);
