import { uploads } from "../../../scripts/acceptance/uploads.ts";
import { actOut } from "./act-out.ts";

actOut(uploads);
