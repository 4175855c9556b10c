import { many } from "../../../../scripts/acceptance/many.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(many, { open: () => ContainerStage.open() });
