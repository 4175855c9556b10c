import { persistence } from "../../../scripts/acceptance/persistence.ts";
import { actOut } from "./act-out.ts";

actOut(persistence);
