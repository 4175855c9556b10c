import { uploads } from "../../../../scripts/acceptance/uploads.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(uploads, { open: () => ContainerStage.open() });
